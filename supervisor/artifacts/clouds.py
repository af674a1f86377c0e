"""Object stores by their URLs: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

The library reads the names that each provider documents (AWS_*, GOOGLE_*, AZURE_*) from the environment. What stands in
the settings' file, and secrets that are credentials of the service manager, are in no environment: they are handed over.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from supervisor import sources
from supervisor.errors import ConfigurationError
from supervisor.settings import Settings, cloud_secrets

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""Scheme → how its options' names begin."""
_ADDRESSES = re.compile(r"ENDPOINT(_URL)?(_S3)?$|BASE_URL$")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w.~/-]*)?", re.ASCII)
_KEY = re.compile(r"key: '(\w+)'")

# A request has time for a part of an upload on a slow line; one that never answers is found out.
# As options, not as the library's client options: those would replace what the environment says, as AWS_ALLOW_HTTP.
_CLIENT = {"connect_timeout": "5s", "timeout": "60s", "pool_idle_timeout": "20s"}
_RETRY: RetryConfig = {
    "max_retries": 2,
    "retry_timeout": dt.timedelta(seconds=20),
    "backoff": {"init_backoff": dt.timedelta(milliseconds=100), "max_backoff": dt.timedelta(seconds=2), "base": 2},
}


def connect(url: str, settings: Settings) -> ObjectStore:
    """Return the store of a URL; nothing is sent. Raises ConfigurationError."""
    try:
        from obstore import store
        from obstore.exceptions import BaseError, UnknownConfigurationKeyError
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"RENDER_ARTIFACTS_URL: {url.partition(':')[0]}:// needs the extra `objectstores`: "
            "pip install 'jobsupervisor[objectstores]'"
        ) from None
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    makers: dict[str, Any] = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}
    options = _options(PREFIXES[scheme], settings)
    _check_addresses({**os.environ, **options}, PREFIXES[scheme])
    try:
        made: ObjectStore = makers[scheme](
            bucket, prefix=prefix.strip("/") or None, config=_CLIENT | options, retry_config=_RETRY
        )
    except UnknownConfigurationKeyError as error:
        found = _KEY.search(str(error))
        raise ConfigurationError(
            f"{found[1].upper() if found else PREFIXES[scheme] + '*'}: no option of {scheme}:// has this name"
        ) from None
    except (BaseError, ValueError, OSError):
        # Its message may hold the value that it could not read.
        raise ConfigurationError(
            f"RENDER_ARTIFACTS_URL: the {PREFIXES[scheme]}* options of {scheme}:// must be complete and well-formed; "
            "see docs/settings.md"
        ) from None
    return made


def _check_addresses(options: Mapping[str, str], prefix: str) -> None:
    """Look at the addresses of servers: of one that is none the library panics, with all that it has. Raises ConfigurationError."""
    for name, value in options.items():
        if name.startswith(prefix) and _ADDRESSES.search(name) and value and not _ADDRESS.fullmatch(value):
            raise ConfigurationError(f"{name}: must be the address of a server, as in https://storage.example.com:9000")


def _options(prefix: str, settings: Settings) -> dict[str, str]:
    """Return the options that are in no environment, by name."""
    options = {name: value for name, value in sources.file_values().items() if name.startswith(prefix) and value}
    return options | {name: value for name, value in cloud_secrets(settings).items() if name.startswith(prefix)}
