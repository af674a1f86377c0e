"""What a renderer says its output is: the grammar of a media type (RFC 9110, 8.3.1), and the type without its parameters."""

from __future__ import annotations

import re

LONGEST = 255
"""Characters; what is longer says nothing that a reader of the artifact could act upon."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a word of the grammar
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# Blanks behind a semicolon belong to the parameter or to the next semicolon, never to either: a stranger's text would have
# them tried both ways, for ever. So they cannot stand at the end, which the RFC would let them.
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;(?:[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))?)*")


def is_media_type(text: str) -> bool:
    """Whether a text is one media type: it is sent as a header's value, so nothing else may hide in it."""
    return len(text) <= LONGEST and _MEDIA_TYPE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """Return `type/subtype` in lower case: case says nothing, and parameters do not make another type of it."""
    return media_type.partition(";")[0].rstrip(" \t").lower()
