"""Images in data URLs: their bytes, and their size in pixels as the header claims it, before anything is decoded."""

from __future__ import annotations

import base64
import binascii
import re
import struct
import urllib.parse
from dataclasses import dataclass

_HEAD = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;(?!base64,)[\w.+-]+(?:=[^;,]*)?)*)(;base64)?,", re.IGNORECASE)
_MAX_HEAD = 200
# The JPEG markers that carry a frame's size (SOF0 to SOF15 without DHT, JPG and DAC).
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@dataclass(frozen=True, slots=True)
class DataUrl:
    """What a data URL holds. `media_type` is lower case, such as `image/png`."""

    media_type: str
    data: bytes


def parse_data_url(url: str) -> DataUrl:
    """Decode a data URL. Raises ValueError for any other URL and for damaged base64."""
    head = _HEAD.match(url.lstrip()[:_MAX_HEAD])
    if head is None:
        raise ValueError("only a data URL is allowed, such as data:image/png;base64,…; nothing is fetched")
    body = url.lstrip()[head.end() :]
    media_type = (head[1] or "text/plain").lower()
    if not head[3]:
        return DataUrl(media_type, urllib.parse.unquote_to_bytes(body))
    try:
        letters = re.sub(r"\s+", "", urllib.parse.unquote(body))
        # Without the padding at its end base64 can be read as well, and browsers do.
        return DataUrl(media_type, base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("the data URL is not valid base64") from None


def image_type(data: bytes) -> str | None:
    """Return the media type of a PNG, JPEG, GIF or WebP by its first bytes; None if it is none of these."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return next((found for start, found in _STARTS.items() if data.startswith(start)), None)


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) in pixels that a PNG, JPEG, GIF or WebP header claims; None if it is none of these."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:  # noqa: PLR2004 - the end of IHDR's size
        return struct.unpack_from(">II", data, 16)
    if data[:6] in {b"GIF87a", b"GIF89a"} and len(data) >= 10:  # noqa: PLR2004
        return struct.unpack_from("<HH", data, 6)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:  # noqa: PLR2004 - the longest of the three headers
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:  # noqa: PLR2004 - every segment starts so
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # noqa: PLR2004 - padding
            position += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None
