"""Settings, from the environment: the documented names and those of the system this replaces.

Every mistake is reported at once, a line each; the value is shown unless it may hold a secret.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from renderer.needs import Needs
from renderer.sandbox import ForbiddenCalls, SandboxMode
from supervisor import environment_file, places, setting_mistakes, sources
from supervisor.alerts import addresses
from supervisor.errors import ConfigurationError
from supervisor.setting_values import parse_list, parse_mode, parse_needs, parse_plugins

_DATABASE = re.compile(r"postgres(ql)?://|\s*\w+\s*=")  # a URL, or libpq's key=value pairs
_MOST = 2**31 - 1  # an integer of the database's
_LIVE = frozenset({
    "alert_active_jobs", "alert_error_rate", "alert_hold_seconds", "alert_memory_mb", "alert_queue_depth", "alert_response_seconds",
    "alert_urls", "pagerduty_events_url", "pagerduty_routing_key", "slack_webhook_url",
    "attempts_limit", "concurrency", "log_format", "log_level", "max_attempts", "max_priority", "memory_limit_mb", "offence_limit", "output_limit_mb",
    "polling_interval", "rescue_grace_seconds", "retention_days", "retry_delay_seconds", "reuse_children", "shutdown_ms", "shutdown_seconds",
    "timeout_ms", "timeout_seconds",
})  # fmt: skip
"""What can change while the service runs, because it is looked at anew each time. The rest is what connections, children and
their sandbox are made of: it needs a restart."""


class Reuse(StrEnum):
    """Which jobs a child of a reusable kind may have after its first one."""

    TENANT = "tenant"
    ANY = "any"
    NEVER = "never"


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(BaseSettings):
    """The settings of a supervisor. Field comments give what a name alone does not."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        case_sensitive=True,
        # A documented name that is set to nothing must not hide the other name of the same setting.
        env_ignore_empty=True,
        # No clock and no limit of the kernel takes an infinite number of seconds.
        allow_inf_nan=False,
    )

    database_url: SecretStr | None = Field(None, validation_alias=_names("DATABASE_URL", "PG_BOSS_DATABASE_URL"))
    listen_database_url: SecretStr | None = Field(None, validation_alias="LISTEN_DATABASE_URL")
    concurrency: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=512, validation_alias="RENDER_CONCURRENCY"
    )
    polling_interval: float = Field(
        60.0, gt=0, validation_alias=_names("RENDER_POLLING_INTERVAL", "PG_BOSS_POLLING_INTERVAL")
    )
    enable_events: bool = Field(True, validation_alias="RENDER_ENABLE_EVENTS")  # noqa: FBT003 - a default, not a flag
    max_connections: int = Field(3, ge=2, validation_alias=_names("RENDER_MAX_CONNECTIONS", "PG_BOSS_MAX_CONNECTIONS"))
    memory_limit_mb: int = Field(
        512, ge=16, validation_alias=_names("RENDER_MEMORY_LIMIT_MB", "WORKER_MEMORY_LIMIT_MB")
    )
    timeout_seconds: float = Field(900.0, gt=0, validation_alias="RENDER_TIMEOUT_SECONDS")
    timeout_ms: float | None = Field(None, gt=0, validation_alias="RENDER_JOB_TIMEOUT_MS")
    max_attempts: int = Field(5, ge=1, validation_alias=_names("RENDER_MAX_ATTEMPTS", "RENDER_JOB_RETRY_LIMIT"))
    attempts_limit: int = Field(100, ge=1, le=_MOST, validation_alias="RENDER_ATTEMPTS_LIMIT")
    max_priority: int | None = Field(None, ge=-_MOST, le=_MOST, validation_alias="RENDER_MAX_PRIORITY")
    retry_delay_seconds: float = Field(
        30.0, ge=0, validation_alias=_names("RENDER_RETRY_DELAY_SECONDS", "RENDER_JOB_RETRY_DELAY_SECONDS")
    )
    offence_limit: int = Field(2, ge=1, validation_alias="RENDER_OFFENCE_LIMIT")
    sandbox: SandboxMode = Field(SandboxMode.REQUIRED, validation_alias="RENDER_SANDBOX")
    forbidden_calls: ForbiddenCalls = Field(ForbiddenCalls.REFUSE, validation_alias="RENDER_FORBIDDEN_CALLS")
    reuse_children: Reuse = Field(Reuse.TENANT, validation_alias="RENDER_REUSE_CHILDREN")
    plugins: Annotated[dict[str, str], NoDecode, BeforeValidator(parse_plugins)] = Field(
        default_factory=dict, validation_alias="RENDER_PLUGINS"
    )
    allowed_needs: Annotated[dict[str, Needs], NoDecode, BeforeValidator(parse_needs)] = Field(
        default_factory=dict, validation_alias="RENDER_ALLOW_NEEDS"
    )
    plugin_import_seconds: float = Field(30.0, gt=0, validation_alias="RENDER_PLUGIN_IMPORT_SECONDS")
    artifacts_url: str | None = Field(None, validation_alias="RENDER_ARTIFACTS_URL")
    artifacts_mode: Annotated[int, NoDecode, BeforeValidator(parse_mode)] = Field(
        0o600, validation_alias="RENDER_ARTIFACTS_MODE"
    )
    aws_secret_access_key: SecretStr | None = Field(None, validation_alias="AWS_SECRET_ACCESS_KEY")
    aws_session_token: SecretStr | None = Field(None, validation_alias="AWS_SESSION_TOKEN")
    google_service_account_key: SecretStr | None = Field(None, validation_alias="GOOGLE_SERVICE_ACCOUNT_KEY")
    azure_storage_account_key: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_ACCOUNT_KEY")
    azure_storage_sas_token: SecretStr | None = Field(None, validation_alias="AZURE_STORAGE_SAS_TOKEN")
    azure_client_secret: SecretStr | None = Field(None, validation_alias="AZURE_CLIENT_SECRET")
    output_limit_mb: int = Field(2048, ge=1, validation_alias="RENDER_OUTPUT_LIMIT_MB")
    shutdown_seconds: float = Field(30.0, ge=0, validation_alias="RENDER_SHUTDOWN_SECONDS")
    shutdown_ms: float | None = Field(None, ge=0, validation_alias="WORKER_SHUTDOWN_TIMEOUT_MS")
    supervisor_name: str = Field(
        default_factory=socket.gethostname, min_length=1, max_length=200, validation_alias="RENDER_SUPERVISOR_NAME"
    )
    retention_days: float = Field(30.0, ge=0, validation_alias="RENDER_RETENTION_DAYS")
    rescue_grace_seconds: float = Field(15.0, ge=0, validation_alias="RENDER_RESCUE_GRACE_SECONDS")
    http_host: str = Field("127.0.0.1", min_length=1, validation_alias="HTTP_HOST")
    http_port: int = Field(3000, ge=0, le=65535, validation_alias="HTTP_PORT")
    http_token: SecretStr | None = Field(None, min_length=16, validation_alias="HTTP_TOKEN")
    http_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_list)] = Field(
        (), validation_alias="HTTP_ALLOWED_HOSTS"
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", validation_alias="RENDER_LOG_LEVEL")
    log_format: str = Field("auto", pattern="^(auto|json|console|journal)$", validation_alias="RENDER_LOG_FORMAT")
    environment_file: str | None = Field(None, validation_alias=environment_file.SETTING)
    max_scene_objects: int = Field(100, ge=1, validation_alias="MAX_SCENE_OBJECTS")
    max_scene_duration_seconds: float = Field(300.0, gt=0, validation_alias="MAX_SCENE_DURATION_SECONDS")
    max_video_pixels: int = Field(8_294_400, ge=1, le=8_294_400, validation_alias="MAX_VIDEO_PIXELS")
    alert_active_jobs: int = Field(100, ge=0, validation_alias="ALERT_ACTIVE_JOBS_THRESHOLD")
    alert_error_rate: float = Field(0.10, ge=0, le=1, validation_alias="ALERT_ERROR_RATE")
    alert_response_seconds: float = Field(30.0, gt=0, validation_alias="ALERT_RESPONSE_SECONDS")
    alert_memory_mb: int = Field(512, ge=1, validation_alias="ALERT_MEMORY_MB")
    alert_queue_depth: int = Field(100, ge=0, validation_alias="ALERT_QUEUE_DEPTH")
    alert_hold_seconds: float = Field(10.0, ge=0.1, validation_alias="ALERT_HOLD_SECONDS")
    slack_webhook_url: SecretStr | None = Field(None, validation_alias="SLACK_WEBHOOK_URL")
    pagerduty_routing_key: SecretStr | None = Field(None, validation_alias="PAGERDUTY_ROUTING_KEY")
    pagerduty_events_url: str = Field(
        "https://events.pagerduty.com/v2/enqueue", validation_alias="PAGERDUTY_EVENTS_URL"
    )
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(addresses.apprise_urls)] = Field(
        (), validation_alias="ALERT_URLS"
    )
    distributed_locks: bool = Field(True, validation_alias="ENABLE_DISTRIBUTED_LOCKS")  # noqa: FBT003 - as above

    @model_validator(mode="before")
    @classmethod
    def _no_empty_values(cls, values: Any) -> Any:
        """Take a variable that is set to nothing as one that is not set, as an environment file writes it."""
        return {name: value for name, value in values.items() if value != ""}

    @field_validator("database_url", "listen_database_url")
    @classmethod
    def _a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _DATABASE.match(value.get_secret_value()):
            raise ValueError("must be the URL of a PostgreSQL database, as in postgresql://user@host/database")
        return value

    @field_validator("slack_webhook_url")
    @classmethod
    def _a_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            addresses.web_address(value.get_secret_value(), "https://hooks.slack.com/services/…")
        return value

    @field_validator("pagerduty_routing_key")
    @classmethod
    def _a_routing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            addresses.routing_key(value.get_secret_value())
        return value

    @field_validator("pagerduty_events_url")
    @classmethod
    def _where_events_go(cls, value: str) -> str:
        return addresses.web_address(value, "https://events.eu.pagerduty.com/v2/enqueue")

    @field_validator("allowed_needs")
    @classmethod
    def _no_grant_within_another(cls, value: dict[str, Needs]) -> dict[str, Needs]:
        grants = [(kind, Path(path)) for kind, needs in value.items() for path in needs.read]
        for kind, path in grants:
            for other, outer in grants:
                if kind != other and path != outer and path.is_relative_to(outer):
                    raise ValueError(
                        f"{kind} may read {path}, which is within {outer} of {other}: what one kind is given is hidden "
                        "from the others as a whole; give directories that lie beside each other"
                    )
        return value

    @field_validator("artifacts_url")
    @classmethod
    def _a_place(cls, value: str | None) -> str | None:
        return value if value is None else places.checked(value)

    @property
    def timeout(self) -> float:
        """Wall clock of one attempt, in seconds."""
        if "timeout_seconds" in self.model_fields_set or self.timeout_ms is None:
            return self.timeout_seconds
        return self.timeout_ms / 1000

    @property
    def shutdown(self) -> float:
        """Seconds that a drain may take."""
        if "shutdown_seconds" in self.model_fields_set or self.shutdown_ms is None:
            return self.shutdown_seconds
        return self.shutdown_ms / 1000

    @property
    def artifacts_directory(self) -> Path:
        """The directory for artifacts: the setting, systemd's state directory, or the user's."""
        if self.artifacts_url is not None and self.object_store_url is None:
            return Path(unquote(urlsplit(self.artifacts_url).path))
        return places.state_directory() / "artifacts"

    @property
    def object_store_url(self) -> str | None:
        """The object store for artifacts, as `s3://bucket/prefix`; None where they go to a directory."""
        return self.artifacts_url if self.artifacts_url and places.OBJECTS.fullmatch(self.artifacts_url) else None

    @property
    def spool_directory(self) -> Path:
        """Where outputs are until an object store has them, in files without names."""
        return places.state_directory() / "spool"

    def adopt(self, fresh: Settings) -> tuple[list[str], list[str]]:
        """Take over what can change while the service runs; return the names of what did, and of what needs a restart.

        The one place where settings change: whoever holds them reads them anew, and finds the new value.
        """
        differing = [name for name in Settings.model_fields if getattr(self, name) != getattr(fresh, name)]
        live = [name for name in differing if name in _LIVE]
        self.__dict__.update({name: getattr(fresh, name) for name in live})
        # Which of two names was set decides where a setting has one in milliseconds too.
        unset = _LIVE - fresh.model_fields_set
        self.__pydantic_fields_set__.difference_update(unset)
        self.__pydantic_fields_set__.update(_LIVE & fresh.model_fields_set)
        return _documented(live), _documented(name for name in differing if name not in _LIVE)

    def require_database(self) -> str:
        """Return the URL of the database. Raises ConfigurationError where none is set."""
        if self.database_url is None:
            raise ConfigurationError(
                "DATABASE_URL: must be set, as in postgresql://user@host/database; "
                "only `demo` and `render` bring a database of their own"
            )
        return self.database_url.get_secret_value()

    @property
    def listen_url(self) -> str:
        """The URL of the LISTEN connection. Raises ConfigurationError where no database is set."""
        return self.listen_database_url.get_secret_value() if self.listen_database_url else self.require_database()


def names(field: str) -> tuple[str, ...]:
    """Return the names of a setting in the environment, the documented one first."""
    alias = Settings.model_fields[field].validation_alias
    return tuple(str(name) for name in alias.choices) if isinstance(alias, AliasChoices) else (str(alias),)


def can_change_while_running(field: str) -> bool:
    """Whether a setting takes effect on SIGHUP."""
    return field in _LIVE


def _documented(fields: Iterable[str]) -> list[str]:
    return sorted(names(field)[0] for field in fields)


def secrets() -> Iterator[tuple[str, ...]]:
    """Yield the names of each setting that is a secret."""
    for field, info in Settings.model_fields.items():
        if SecretStr in (info.annotation, *get_args(info.annotation)):
            yield names(field)


def cloud_secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets of object stores that are set, by environment name."""
    fields = (field for field in Settings.model_fields if field.startswith(("aws_", "google_", "azure_")))
    return {names(field)[0]: value.get_secret_value() for field in fields if (value := getattr(settings, field))}


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; `overrides` are by environment name and win. Raises ConfigurationError with every mistake."""
    given = {**sources.file_values(), **(overrides or {})}
    given = {**sources.credentials(secrets(), given), **given}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise setting_mistakes.told(error, [names(field) for field in Settings.model_fields], given) from None
