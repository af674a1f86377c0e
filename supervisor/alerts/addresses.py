"""The form of addresses and keys, for the settings. A mistake never repeats the value: it is a secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

# A comma may be part of a URL (mailto://…?to=a,b): it separates only where another URL begins.
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z0-9]{1,32}://)")
_APPRISE = re.compile(r"[A-Za-z0-9]{1,32}://\S+")
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")


def apprise_urls(value: object) -> object:
    """Split URLs that stand with commas or blanks between them."""
    if not isinstance(value, str):
        return value
    parts = [part for part in _BETWEEN.split(value.strip(" \t\r\n,")) if part]
    for number, part in enumerate(parts, 1):
        if not _APPRISE.fullmatch(part):
            raise ValueError(
                f"each must be a URL of Apprise's, as in mailto://user:password@host, with commas or blanks between them; "
                f"number {number} is not"
            )
    return tuple(SecretStr(part) for part in parts)


def web_address(value: str, example: str) -> str:
    """Return an address that can be posted to. Raises ValueError."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or re.search(r"\s", value):
        raise ValueError(f"must be a URL, as in {example}")
    return value


def routing_key(value: str) -> str:
    """Return a key of PagerDuty's. Raises ValueError."""
    if not _ROUTING_KEY.fullmatch(value):
        raise ValueError("must be the integration key of an Events API v2 integration: 32 letters and digits")
    return value
