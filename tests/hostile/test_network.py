"""Network: cases 38 to 40. Nothing is reached, on this machine or beyond, by a socket or by a URL in a spec."""

from __future__ import annotations

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
URLS = [
    "http://169.254.169.254/latest/meta-data/",
    "https://example.org/a.png",
    "file:///etc/passwd",
    "//example.org/a.png",
    "/etc/passwd",
    "ftp://example.org/a.png",
    "data:text/html,hello",
]
STYLES = [
    '<style>@import "http://example.org/a.css";</style>',
    "<style>@font-face { font-family: a; src: url(http://example.org/a.woff) }</style>",
    '<rect fill="url(http://example.org/a.svg#g)"/>',
    '<use href="http://example.org/a.svg#g"/>',
    '<feImage href="http://example.org/a.png"/>',
    '<script href="http://example.org/a.js"/>',
]

CASES = [
    case("38 connect", "network.connect", "ok", refused=True),
    case("39 connect to local sockets", "network.connect_locally", "ok", refused=True),
    case("39 see the machine's network", "network.see", "ok", refused=True),
    case("40 fetch", "network.fetch", "ok", refused=True),
    *(
        case(f"40 SVG image {url}", "svg", "invalid", spec={"svg": SVG.format(f'<image href="{url}"/>')})
        for url in URLS
    ),
    *(case(f"40 SVG style {n}", "svg", "invalid", spec={"svg": SVG.format(style)}) for n, style in enumerate(STYLES)),
    *(
        case(
            f"40 scene image {url}",
            "scene",
            "invalid",
            spec={"objects": [{"type": "image", "src": url, "width": 5, "height": 5}]},
        )
        for url in URLS
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_network(case: Case, aftermath: Aftermath) -> None:
    """It is refused."""
    check(case, aftermath.hostile[case.id])
