"""What a renderer says its output is: the grammar of a media type (RFC 9110, 8.3.1), and the type without its parameters."""

from __future__ import annotations

import re

_PICTURES = (
    "png",
    "apng",
    "jpeg",
    "gif",
    "webp",
    "avif",
    "bmp",
    "tiff",
    "x-icon",
    "vnd.microsoft.icon",
    "heic",
    "heif",
)
_VIDEOS = ("mp4", "webm", "ogg", "quicktime", "x-matroska", "mpeg", "mp2t", "x-msvideo")
_SOUNDS = ("mpeg", "mp4", "aac", "ogg", "opus", "flac", "wav", "x-wav", "wave", "webm")
_DATA = ("json", "zip", "gzip", "x-tar", "zstd")
SHOWN = frozenset(
    {
        *(f"image/{name}" for name in _PICTURES),
        *(f"video/{name}" for name in _VIDEOS),
        *(f"audio/{name}" for name in _SOUNDS),
        "application/pdf",
        "text/plain",
    }
)
"""What a browser may show in place: it is drawn or played, and runs nothing."""
INERT = SHOWN | {*(f"application/{name}" for name in _DATA), "text/csv"}
"""What a browser neither runs nor applies to a page. A list of what is known: of all else it may one day learn to run it."""
UNKNOWN = "application/octet-stream"
_CHARSETS = frozenset({"utf-8", "us-ascii", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "windows-1252"})

LONGEST = 255
"""Characters; what is longer says nothing that a reader of the artifact could act upon."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a word of the grammar
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# Blanks behind a semicolon belong to the parameter or to the next semicolon, never to either: a stranger's text would have
# them tried both ways, for ever. So they cannot stand at the end, which the RFC would let them.
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;(?:[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))?)*")
_CHARSET = re.compile(r"""(?:^|;)[ \t]*charset="?([a-z0-9-]{1,20})"?[ \t]*(?:;|$)""")


def is_media_type(text: str) -> bool:
    """Whether a text is one media type: it is sent as a header's value, so nothing else may hide in it."""
    return len(text) <= LONGEST and _MEDIA_TYPE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """Return `type/subtype` in lower case: case says nothing, and parameters do not make another type of it."""
    return media_type.partition(";")[0].rstrip(" \t").lower()


def served_as(media_type: str) -> str:
    """Return the type that a stranger's file is sent as: its own where a browser runs nothing of it, else bytes.

    Of its parameters only a text's encoding is left, where it is one of those in which a letter is a letter.
    """
    found = essence(media_type)
    if found not in INERT:
        return UNKNOWN
    if not found.startswith("text/"):
        return found
    charset = _CHARSET.search(media_type.partition(";")[2].lower())
    return f"{found}; charset={charset[1] if charset and charset[1] in _CHARSETS else 'utf-8'}"
