"""Data URLs, and sizes read from headers."""

from __future__ import annotations

import base64

import pytest
import skia

from renderer.kinds.dataurl import image_size, parse_data_url


@pytest.mark.parametrize("kind", [skia.kPNG, skia.kJPEG, skia.kWEBP])
def test_the_size_is_read_from_the_header(kind: object) -> None:
    """What an encoder wrote is what the header reader finds."""
    surface = skia.Surface(37, 21)
    surface.getCanvas().clear(skia.ColorRED)
    assert image_size(bytes(surface.makeImageSnapshot().encodeToData(kind, 90))) == (37, 21)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a" + bytes([44, 1, 200, 0]), (300, 200)),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\x00\x0f\x27\x00", (65536, 10000)),
        (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (99 | 49 << 14).to_bytes(4, "little") + bytes(9), (100, 50)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\x00\x20\x00\x40" + bytes(8), (64, 32)),
        (b"\xff\xd8\xff\xe0\0\x00", None),
        (b"\xff\xd8" + b"\xff" * 50, None),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_headers_by_hand(data: bytes, size: tuple[int, int] | None) -> None:
    """The less common headers, and damaged ones, without a decoder."""
    assert image_size(data) == size


def test_a_data_url_is_decoded() -> None:
    """With and without base64, with parameters, with a line break in it."""
    body = base64.b64encode(b"hello world").decode()
    assert parse_data_url(f"data:image/png;base64,{body[:5]}\n{body[5:]}").data == b"hello world"
    assert parse_data_url("data:text/plain;charset=utf-8,a%20b").data == b"a b"
    assert parse_data_url("DATA:IMAGE/PNG;base64,").media_type == "image/png"


@pytest.mark.parametrize(
    "url", ["http://x/y.png", "file:///etc/passwd", "/a.png", "data:image/png;base64,###", "data:x"]
)
def test_nothing_else_is_an_image(url: str) -> None:
    """No other scheme, no path, no damaged base64."""
    with pytest.raises(ValueError, match="data URL"):
        parse_data_url(url)
