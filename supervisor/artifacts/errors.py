"""What goes wrong with an object store, in words of our own.

The library's messages hold addresses with signatures in them, and answers that repeat the key they refuse: none of that may
come into a log line, a job's error or an endpoint. So a message is looked at and never passed on.
"""

from __future__ import annotations

import re

_STATUS = re.compile(r"status code: (\d{3})")
_REFUSED = frozenset({"PermissionDeniedError", "UnauthenticatedError"})
_TOLD: tuple[tuple[str, str], ...] = (
    # An instance's credentials are looked for last; the address is the one that all clouds have them at.
    (r"169\.254\.169\.254|metadata|credential", "no credentials were found for it"),
    (r"ConnectionRefused|ConnectionReset|kind: Connect|tcp connect", "no connection to it could be made"),
    (r"dns error|failed to lookup", "its name cannot be resolved"),
    (r"[Tt]imed ?[Oo]ut|kind: Timeout", "it did not answer in time"),
    (r"scheme|kind: Builder", "its address must begin with https://, or AWS_ALLOW_HTTP and its like allow http://"),
)


class StoreAway(OSError):  # noqa: N818 - reads as the state it is
    """The object store does not take or give what it should: no fault of a job's.

    `lasting` where asking again cannot help: refused credentials, a bucket that does not exist.
    """

    def __init__(self, problem: str, *, lasting: bool = False) -> None:
        super().__init__(problem)
        self.lasting = lasting


def told(error: Exception) -> StoreAway:
    """Return what an error of the library or of the machine means."""
    text = str(error)
    name = type(error).__name__
    status = _STATUS.search(text)
    if name in _REFUSED or (status and status[1] in {"401", "403"}):
        return StoreAway("it refuses the credentials, or they may not do this", lasting=True)
    if isinstance(error, FileNotFoundError):
        return StoreAway("the bucket or container does not exist", lasting=True)
    if isinstance(error, TimeoutError):
        return StoreAway("it did not answer in time")
    if status:
        # 4xx: it will answer the same again; 408 and 429 say that it will not.
        lasting = status[1].startswith("4") and status[1] not in {"408", "429"}
        return StoreAway(f"it answered with status {status[1]}", lasting=lasting)
    for pattern, problem in _TOLD:
        if re.search(pattern, text):
            return StoreAway(problem)
    return StoreAway(f"it failed: {name}")
