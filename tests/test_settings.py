"""Settings: the documented names, those of the system this replaces, and every mistake at once without a secret."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices

from renderer.sandbox import SandboxMode
from supervisor.errors import ConfigurationError
from supervisor.settings import Settings, load


def names() -> list[str]:
    """Return every name that a setting goes by."""
    found = ["STATE_DIRECTORY", "XDG_STATE_HOME"]
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        found += [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
    return found


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no setting in the environment that the test did not put there."""
    for name in names():
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Put values into the environment."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def problems(monkeypatch: pytest.MonkeyPatch, **values: str) -> dict[str, str]:
    """Return what is wrong with these settings: name → line."""
    set_all(monkeypatch, **values)
    with pytest.raises(ConfigurationError) as caught:
        load()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return {line.partition(":")[0]: line for line in lines}


def test_the_defaults() -> None:
    """With nothing set, the values of the table in the documentation hold."""
    settings = load()
    expected: dict[str, Any] = {
        "database_url": None,
        "concurrency": len(os.sched_getaffinity(0)),
        "polling_interval": 60,
        "enable_events": True,
        "max_connections": 3,
        "memory_limit_mb": 512,
        "timeout": 900,
        "max_attempts": 5,
        "retry_delay_seconds": 30,
        "offence_limit": 2,
        "sandbox": SandboxMode.REQUIRED,
        "plugins": {},
        "artifacts_url": None,
        "shutdown": 30,
        "supervisor_name": socket.gethostname(),
        "distributed_locks": True,
        "max_scene_objects": 100,
        "max_scene_duration_seconds": 300,
        "max_video_pixels": 8_294_400,
        "alert_active_jobs": 100,
        "alert_error_rate": 0.10,
        "alert_response_seconds": 30,
        "alert_memory_mb": 512,
        "alert_queue_depth": 100,
        "slack_webhook_url": None,
        "pagerduty_routing_key": None,
        "pagerduty_events_url": "https://events.pagerduty.com/v2/enqueue",
        "alert_urls": (),
    }
    assert {name: getattr(settings, name) for name in expected} == expected


ALIASES = [
    ("PG_BOSS_POLLING_INTERVAL", "RENDER_POLLING_INTERVAL", "polling_interval", "7", 7.0),
    ("PG_BOSS_MAX_CONNECTIONS", "RENDER_MAX_CONNECTIONS", "max_connections", "7", 7),
    ("WORKER_MEMORY_LIMIT_MB", "RENDER_MEMORY_LIMIT_MB", "memory_limit_mb", "700", 700),
    ("RENDER_JOB_TIMEOUT_MS", "RENDER_TIMEOUT_SECONDS", "timeout", "1500", 1.5),
    ("RENDER_JOB_RETRY_LIMIT", "RENDER_MAX_ATTEMPTS", "max_attempts", "7", 7),
    ("RENDER_JOB_RETRY_DELAY_SECONDS", "RENDER_RETRY_DELAY_SECONDS", "retry_delay_seconds", "7", 7.0),
    ("WORKER_SHUTDOWN_TIMEOUT_MS", "RENDER_SHUTDOWN_SECONDS", "shutdown", "2500", 2.5),
]


@pytest.mark.parametrize(("other", "documented", "attribute", "text", "value"), ALIASES)
def test_names_of_the_system_this_replaces(
    monkeypatch: pytest.MonkeyPatch, other: str, documented: str, attribute: str, text: str, value: float
) -> None:
    """The other name is taken as it is, milliseconds as such; the documented one wins over it, unless it is empty."""
    monkeypatch.setenv(other, text)
    assert getattr(load(), attribute) == value
    monkeypatch.setenv(documented, "")
    assert getattr(load(), attribute) == value
    monkeypatch.setenv(documented, "64")
    assert getattr(load(), attribute) == 64


def test_the_database_by_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is found under both names, the documented one first; an override wins over either."""
    monkeypatch.setenv("PG_BOSS_DATABASE_URL", "postgresql://old/db")
    assert load().require_database() == "postgresql://old/db"
    monkeypatch.setenv("DATABASE_URL", "")
    assert load().require_database() == "postgresql://old/db"
    assert load({"DATABASE_URL": "postgresql://override/db"}).require_database() == "postgresql://override/db"
    monkeypatch.setenv("DATABASE_URL", "postgresql://new/db")
    assert load().require_database() == "postgresql://new/db"
    assert load({"DATABASE_URL": "postgresql://override/db"}).require_database() == "postgresql://override/db"


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:hunter2@h/d", "//h/d", "http://h/?postgresql://"])
def test_what_is_no_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A value that libpq could make nothing of is refused with the form that it must have, and is not shown."""
    for name in ("DATABASE_URL", "PG_BOSS_DATABASE_URL", "LISTEN_DATABASE_URL"):
        line = problems(monkeypatch, **{name: url})[name]
        assert line == f"{name}: must be the URL of a PostgreSQL database, as in postgresql://user@host/database"
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "url", ["postgres://h/d", "postgresql:///d?host=/run/pg", "postgresql://a,b:5433/d", "host=h dbname=d"]
)
def test_every_form_of_a_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Both spellings of the scheme, a socket's directory, several hosts, and key=value pairs are taken as they are."""
    monkeypatch.setenv("DATABASE_URL", url)
    assert load().require_database() == url


def test_the_connection_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """LISTEN goes to the database, or directly to where it is told; an override of None takes that back."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://pooler/db")
    assert load().listen_url == "postgresql://pooler/db"
    monkeypatch.setenv("LISTEN_DATABASE_URL", "postgresql://direct/db")
    assert load().listen_url == "postgresql://direct/db"
    assert load({"LISTEN_DATABASE_URL": None}).listen_url == "postgresql://pooler/db"


def test_no_database_says_the_way_out() -> None:
    """What needs a database says which setting is missing and how it looks."""
    for ask in (load().require_database, lambda: load().listen_url):
        with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: must be set, as in postgresql://"):
            ask()


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing, as in an environment file, counts as not set, for every setting."""
    expected = load()
    set_all(monkeypatch, **dict.fromkeys(names(), ""))
    assert load() == expected
    assert load().artifacts_directory == expected.artifacts_directory


WRONG = {
    "RENDER_CONCURRENCY": "0",
    "RENDER_POLLING_INTERVAL": "soon",
    "RENDER_ENABLE_EVENTS": "perhaps",
    "RENDER_MAX_CONNECTIONS": "1",
    "RENDER_MEMORY_LIMIT_MB": "1e3.5",
    "RENDER_TIMEOUT_SECONDS": "-1",
    "RENDER_MAX_ATTEMPTS": "0",
    "RENDER_OFFENCE_LIMIT": "-2",
    "RENDER_SANDBOX": "maybe",
    "RENDER_LOG_LEVEL": "loud",
    "MAX_VIDEO_PIXELS": "8294401",
    "ALERT_ACTIVE_JOBS_THRESHOLD": "-1",
    "ALERT_ERROR_RATE": "10",
    "ALERT_RESPONSE_SECONDS": "0",
    "ALERT_MEMORY_MB": "half",
    "ALERT_QUEUE_DEPTH": "1.5",
    "ENABLE_DISTRIBUTED_LOCKS": "2",
}


def test_every_mistake_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wrong settings are told together, a line each, with the name and the value."""
    found = problems(monkeypatch, **WRONG)
    assert found.keys() == WRONG.keys()
    for name, value in WRONG.items():
        assert repr(value) in found[name]


def test_a_mistake_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the variable that is set, not the one that the documentation would rather have."""
    assert problems(monkeypatch, WORKER_MEMORY_LIMIT_MB="1", RENDER_JOB_TIMEOUT_MS="x").keys() == {
        "WORKER_MEMORY_LIMIT_MB",
        "RENDER_JOB_TIMEOUT_MS",
    }


@pytest.mark.parametrize("value", ["inf", "nan", "-inf"])
def test_no_time_is_infinite(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Seconds are numbers that a clock can count, in every setting that is a time."""
    times = [
        *("RENDER_TIMEOUT_SECONDS", "RENDER_JOB_TIMEOUT_MS", "RENDER_POLLING_INTERVAL", "RENDER_RETRY_DELAY_SECONDS"),
        *("RENDER_SHUTDOWN_SECONDS", "WORKER_SHUTDOWN_TIMEOUT_MS", "MAX_SCENE_DURATION_SECONDS"),
        *("ALERT_RESPONSE_SECONDS", "ALERT_ERROR_RATE"),
    ]
    assert problems(monkeypatch, **dict.fromkeys(times, value)).keys() == set(times)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a mistake beside it, nor a mistake in it, nor the settings printed as text show a password."""
    lines = problems(
        monkeypatch,
        DATABASE_URL="postgresql://u:hunter2@h/d",
        RENDER_ARTIFACTS_URL="s3://k:hunter2@b",
        RENDER_CONCURRENCY="x",
    )
    assert lines.keys() == {"RENDER_ARTIFACTS_URL", "RENDER_CONCURRENCY"}
    assert "hunter2" not in "".join(lines.values())
    set_all(
        monkeypatch, RENDER_ARTIFACTS_URL="", RENDER_CONCURRENCY="1", LISTEN_DATABASE_URL="postgresql://u:hunter2@l/d"
    )
    assert "hunter2" not in f"{load()!r} {load()}"
    assert load().require_database() == "postgresql://u:hunter2@h/d"


SLACK, KEY = "https://hooks.slack.com/services/T0/B0/hunter2", "hunter2hunter2hunter2hunter2hunt"


def test_who_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channels of alerts are taken as they are, and the settings printed as text show none of them."""
    urls = "json://u:hunter2@h/p, mailto://u:hunter2@h?to=a@x,b@y\ntgram://hunter2/chat ,"
    set_all(monkeypatch, SLACK_WEBHOOK_URL=SLACK, PAGERDUTY_ROUTING_KEY=KEY, ALERT_URLS=urls)
    settings = load()
    assert settings.slack_webhook_url is not None
    assert settings.slack_webhook_url.get_secret_value() == SLACK
    assert settings.pagerduty_routing_key is not None
    assert settings.pagerduty_routing_key.get_secret_value() == KEY
    assert [url.get_secret_value() for url in settings.alert_urls] == [
        "json://u:hunter2@h/p",
        "mailto://u:hunter2@h?to=a@x,b@y",
        "tgram://hunter2/chat",
    ]
    assert "hunter2" not in f"{settings!r} {settings}"


WRONG_CHANNELS = [
    (
        "SLACK_WEBHOOK_URL",
        "hooks.slack.com/services/hunter2",
        "must be a URL, as in https://hooks.slack.com/services/…",
    ),
    ("SLACK_WEBHOOK_URL", "ftp://h/hunter2", "must be a URL, as in https://hooks.slack.com/services/…"),
    ("SLACK_WEBHOOK_URL", "https:///hunter2", "must be a URL, as in https://hooks.slack.com/services/…"),
    ("SLACK_WEBHOOK_URL", "https://h:port/hunter2", "must be a URL, as in https://hooks.slack.com/services/…"),
    ("SLACK_WEBHOOK_URL", "https://h/hunter2 x", "must be a URL, as in https://hooks.slack.com/services/…"),
    ("PAGERDUTY_EVENTS_URL", "hunter2", "must be a URL, as in https://events.eu.pagerduty.com/v2/enqueue"),
    (
        *("PAGERDUTY_ROUTING_KEY", "hunter2"),
        "must be the integration key of an Events API v2 integration: 32 letters and digits",
    ),
    *(
        (
            *("ALERT_URLS", urls),
            (
                "each must be a URL of Apprise's, as in mailto://user:password@host, with commas or blanks between "
                f"them; number {number} is not"
            ),
        )
        for urls, number in [("hunter2", 1), ("json://h, json://h hunter2", 2), ("hunter2 json://h", 1)]
    ),
]


@pytest.mark.parametrize(("name", "value", "rule"), WRONG_CHANNELS)
def test_wrong_channels(monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str) -> None:
    """A channel that can be none is refused at the start, with the form that it must have, and is not shown."""
    assert problems(monkeypatch, **{name: value})[name] == f"{name}: {rule}"


def test_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins are a list with commas, blanks and empty parts forgiven."""
    monkeypatch.setenv("RENDER_PLUGINS", " chart=charts.draw:render , my-map.v2=maps:Renderer.run ,,")
    assert load().plugins == {"chart": "charts.draw:render", "my-map.v2": "maps:Renderer.run"}


@pytest.mark.parametrize(
    "part", ["chart", "chart=", "=m:f", "chart=m", "Chart=m:f", "chart=m:f:g", "chart=m;x:f", "c=/m.py:f"]
)
def test_wrong_plug_ins(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """A part that does not say kind=package.module:callable is shown, once, whatever stands around it."""
    line = problems(monkeypatch, RENDER_PLUGINS=f"good=m:f,{part}")["RENDER_PLUGINS"]
    assert line == f"RENDER_PLUGINS: each plug-in must be kind=package.module:callable, got {part!r}"


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("file:///srv/renders", "/srv/renders"),
        ("file://localhost/srv/renders", "/srv/renders"),
        ("file:///srv/a%20b%23c", "/srv/a b#c"),
    ],
)
def test_artifacts_in_a_directory(monkeypatch: pytest.MonkeyPatch, url: str, directory: str) -> None:
    """A file URL is a directory on this machine, with its quoted characters undone."""
    monkeypatch.setenv("RENDER_ARTIFACTS_URL", url)
    assert load().artifacts_directory == Path(directory)


@pytest.mark.parametrize(
    "url",
    [
        *("/srv/renders", "file://host/srv", "file:relative", "https://h/x", "S3://bucket", "s3://", "s3:///prefix"),
        *("s3://b:9000/x", "s3://key:hunter2@bucket", "gs://bucket/a?b=c", "az://bucket/a#b", "s3://bucket/../other"),
        *("s3://bucket//x", "s3://bucket/a b", "s3://bucket/a%2fb", "s3://bucket/./x"),
    ],
)
def test_artifacts_elsewhere_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Where nothing can be stored is refused at the start, with the forms that are taken and not with the value."""
    (line,) = problems(monkeypatch, RENDER_ARTIFACTS_URL=url).values()
    assert "must be file:///path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("url", ["s3://bucket", "gs://my.bucket/a/b/", "az://container/renders-2026/x_y.z"])
def test_artifacts_in_an_object_store(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The URL of an object store is taken as it is; outputs wait in the state directory, not where the URL might say."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/jobsupervisor")
    monkeypatch.setenv("RENDER_ARTIFACTS_URL", url)
    assert load().object_store_url == url
    assert load().spool_directory == Path("/var/lib/jobsupervisor/spool")
    assert load().artifacts_directory == Path("/var/lib/jobsupervisor/artifacts")


def test_state_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting, artifacts are in systemd's state directory, else in the user's."""
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load().artifacts_directory == Path("/home/somebody/.local/state/jobsupervisor/artifacts")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert load().artifacts_directory == Path("/state/jobsupervisor/artifacts")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/jobsupervisor:/var/lib/other")
    assert load().artifacts_directory == Path("/var/lib/jobsupervisor/artifacts")
    monkeypatch.setenv("RENDER_ARTIFACTS_URL", "file:///srv/renders")
    assert load().artifacts_directory == Path("/srv/renders")


def test_a_grant_within_another_kinds_is_a_mistake() -> None:
    """It would be hidden together with the outer one; the same directory for two kinds is none."""
    with pytest.raises(
        ConfigurationError, match="RENDER_ALLOW_NEEDS: b may read /srv/x/sub, which is within /srv/x of a"
    ):
        load({"RENDER_ALLOW_NEEDS": "a:read=/srv/x,b:read=/srv/x/sub"})
    load({"RENDER_ALLOW_NEEDS": "a:read=/srv/x,b:read=/srv/x,a:read=/srv/y"})
