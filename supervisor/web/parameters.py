"""The parameters of a request: each is read once, into a typed and bounded value, and only that value is used.

To check a text and to read it again later is how `0000019999999` passed as a page of 19 rows and was asked for as a page of 19
million. So nobody else looks at the text of a query.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request

from supervisor.store import calls
from supervisor.store.refused import Refused

LONGEST = 255
"""Characters; no id of a user, no correlation id and no kind is longer."""
_LONGEST_QUERY = 4096
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_SHOWN = 100


class Parameters:
    """The query of one request. One that is empty counts as not given, as a form sends what nobody filled in.

    Raises Refused for what is given twice, is too long or holds a NUL; where `known` is given, for all others too.
    """

    def __init__(self, request: Request, known: Collection[str] | None = None) -> None:
        # Before it is parsed: to do that takes the loop a while for what nobody means.
        if len(request.scope["query_string"]) > _LONGEST_QUERY:
            raise Refused(f"a query must have at most {_LONGEST_QUERY} bytes, got {len(request.scope['query_string'])}")
        given = request.query_params.multi_items()
        names = Counter(name for name, _ in given)
        if known is not None and (unknown := sorted({*names} - {*known})):
            raise Refused(f"no such parameter: {', '.join(unknown)[:_SHOWN]!r}; there are {', '.join(sorted(known))}")
        for name, value in given:
            if names[name] > 1:
                raise Refused(f"a parameter may be given once, {name[:_SHOWN]!r} is given {names[name]} times")
            if len(value) > LONGEST:
                raise Refused(f"{name[:_SHOWN]} must have at most {LONGEST} characters, got {len(value)}")
            if "\0" in value:
                raise Refused(f"{name[:_SHOWN]} must not hold a NUL, which no text of the database can")
        self._given = {name: value for name, value in given if value}

    def text(self, name: str) -> str | None:
        """Return a text."""
        return self._given.get(name)

    def number(self, name: str, otherwise: int, most: int) -> int:
        """Return a whole number from 1 to `most`, in decimal digits and nothing else."""
        text = self._given.get(name)
        if text is None:
            return otherwise
        if not _NUMBER.fullmatch(text) or (number := int(text)) > most:
            raise Refused(f"{name} must be from 1 to {most}, got {text[:_SHOWN]!r}")
        return number

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """Return one of so many words."""
        text = self._given.get(name)
        if text is not None and text not in choices:
            raise Refused(f"{name} must be one of {', '.join(choices)}, got {text[:_SHOWN]!r}")
        return text

    def job(self, name: str) -> UUID | None:
        """Return the id of a job."""
        text = self._given.get(name)
        if text is None:
            return None
        try:
            return calls.job_uuid(text)
        except Refused:
            raise Refused(f"{name} must be the id of a job, got {text[:_SHOWN]!r}") from None

    def time(self, name: str) -> datetime:
        """Return a time, which must be given; of no zone it is UTC."""
        text = self._given.get(name, "")
        try:
            found = datetime.fromisoformat(text) if text.isascii() else None
            return _in_utc(found) if found else _no_time(name, text)
        except (ValueError, OverflowError):
            return _no_time(name, text)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _no_time(name: str, text: str) -> datetime:
    raise Refused(f"{name} must be a time, got {text[:_SHOWN]!r}")
