"""Pictures in data URLs: honest ones of every type, and those that lie."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import skia


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """Return the chunk that says a PNG's size."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    """Return a PNG."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def _drawn(kind: skia.EncodedImageFormat, side: int = 4) -> bytes:
    picture = skia.Image.fromarray(np.full((side, side, 4), 200, np.uint8))
    return bytes(picture.encodeToData(kind, 90))


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """Return a GIF of one pixel's data, whose screen and frame claim sizes of their own."""
    table = b"\0\0\0\xff\xff\xff"
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + table
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\x00\x3b"


def data_url(media_type: str, data: bytes) -> str:
    """Return bytes as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


_ROW = zlib.compress(b"\0\xff\0\0")
PNG = _drawn(skia.kPNG)
JPEG = _drawn(skia.kJPEG)
WEBP = _drawn(skia.kWEBP)
GIF = gif((1, 1), (1, 1))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'
_JPEG_SIZE = JPEG.index(b"\xff\xc0") + 5
_MUCH = zlib.compress(bytes(90_000_000), 1)
_LIES: list[tuple[str, bytes]] = [
    ("image/png", png(png_header(1, 1), png_header(60_000, 60_000), png_chunk(b"IDAT", _ROW))),
    ("image/png", png(png_header(60_000, 60_000), png_chunk(b"IDAT", _ROW))),
    ("image/png", png(png_header(2_000, 2_000), png_chunk(b"IDAT", zlib.compress(bytes(6_001 * 2_000))))),
    ("image/png", png(png_header(1, 1), png_chunk(b"IDAT", zlib.compress(bytes(50_000_000), 1)))),
    ("image/png", png(png_header(1, 1), png_chunk(b"zTXt", b"a\0\0" + _MUCH), _ROW)),
    ("image/png", png(png_header(1, 1), png_chunk(b"iCCP", b"a\0\0" + _MUCH), _ROW)),
    ("image/png", png(png_header(1, 1, 16, 6, 1), png_chunk(b"IDAT", zlib.compress(bytes(9))))),
    ("image/png", png(png_header(1, 1, 3, 3))),
    ("image/png", png(png_header(0, 0))),
    ("image/png", png(png_chunk(b"acTL", struct.pack(">II", 2**31, 0)), png_header(1, 1))),
    ("image/png", PNG[:40]),
    ("image/png", PNG[:-20] + bytes(20)),
    ("image/png", PNG + SVG),
    ("image/png", JPEG),
    ("image/svg+xml", PNG),
    ("image/png", SVG),
    ("image/jpeg", JPEG[:_JPEG_SIZE] + b"\xff\xff\xff\xff" + JPEG[_JPEG_SIZE + 4 :]),
    ("image/jpeg", JPEG[:2] + b"\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0" + JPEG[2:]),
    ("image/jpeg", JPEG[:2] + b"\xff\xfe" + struct.pack(">H", len(SVG) + 2) + SVG + JPEG[2:]),
    ("image/jpeg", JPEG[:100]),
    ("image/jpeg", b"\xff\xd8" + b"\xff\xe0\0\0" * 5_000),
    ("image/jpeg", b"\xff\xd8" + b"\xff" * 5_000),
    ("image/gif", gif((1, 1), (60_000, 60_000))),
    ("image/gif", gif((1, 1), (3_000, 2_000))),
    ("image/gif", gif((60_000, 60_000), (1, 1))),
    ("image/gif", gif((2_000, 2_000), (1, 1))),
    ("image/gif", gif((0, 0), (1, 1))),
    ("image/gif", b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"\x21\xfe\xff" + bytes(255) * 200),
    ("image/webp", WEBP[:30] + bytes(20)),
    ("image/webp", b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\0" * 6 + WEBP[12:]),
    ("image/webp", b"RIFF\x30\0\0\0WEBPVP8L\x20\0\0\0\x2f" + b"\xff" * 40),
    ("image/svg+xml", b""),
    ("image/svg+xml", SVG.replace(b'width="4"', b'width="1e9"')),
    ("text/html", b"<html/>"),
    ("image/bmp", b"BM" + bytes(60)),
    ("image/tiff", b"II*\0" + bytes(60)),
]
HONEST = [
    data_url(*pair) for pair in (("image/png", PNG), ("image/jpeg", JPEG), ("image/webp", WEBP), ("image/gif", GIF))
]
LYING = [data_url(*pair) for pair in _LIES] + [
    "data:image/png;base64,AAAA",
    "data:image/png;base64,%%%",
    "data:image/png;base64," + base64.b64encode(PNG).decode().rstrip("="),
    "data:image/png," + "%ff" * 50,
    "data:,",
    "data:",
    "data:image/svg+xml," + SVG.decode(),
    "data:;base64," + base64.b64encode(PNG).decode(),
    " DATA:IMAGE/PNG;BASE64," + base64.b64encode(PNG).decode(),
    *("", "http://example.org/a.png", "file:///etc/passwd", "//example.org/a.png", "\\\\host\\a.png", "picture.png"),
]
ALL = HONEST * 6 + LYING
