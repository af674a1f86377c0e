"""Kind `svg`: what is drawn, how large, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from renderer.kinds import svg as svg_kind
from tests.renderer.drawing import blamed, draw_svg, ink, rgb, run
from tests.renderer.test_scene_model import huge_png

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(body: str = "", size: str = 'width="40" height="20"') -> str:
    """Return an SVG document."""
    return f"<svg {NAMESPACES} {size}>{body}</svg>"


RED = svg('<rect width="40" height="20" fill="red"/>')


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({}, (40, 20)),
        ({"width": 80}, (80, 40)),
        ({"height": 80}, (160, 80)),
        ({"width": 50, "height": 50}, (50, 50)),
        ({"scale": 2.5}, (100, 50)),
        ({"scale": 0.001}, (1, 1)),
    ],
)
def test_the_size(config: dict[str, Any], size: tuple[int, int]) -> None:
    """Either side alone keeps the aspect; both give the picture's size."""
    height, width, _ = draw_svg(RED, **config).shape
    assert (width, height) == size


def test_both_sides_fit_the_document_into_the_middle() -> None:
    """It is not stretched; what is left over shows the background."""
    pixels = draw_svg(RED, width=40, height=40, backgroundColor="#00ff00")
    assert [rgb(pixels, 20, y) for y in (5, 20, 35)] == [(0, 255, 0), (255, 0, 0), (0, 255, 0)]
    assert draw_svg(RED, width=40, height=40)[5, 20].tolist() == [0, 0, 0, 0]


def test_a_document_without_a_size_takes_that_of_its_view_box() -> None:
    """As browsers do for an image."""
    assert draw_svg(svg(size='viewBox="0 0 30 10"')).shape == (10, 30, 4)


@pytest.mark.parametrize(
    "family", ["", "sans-serif", "serif", "monospace", "cursive", "fantasy", "No Such Font", "Lato"]
)
def test_text_is_there_without_a_font_of_the_system(family: str) -> None:
    """Whatever family is asked for."""
    attribute = f'font-family="{family}"' if family else ""
    document = svg(f'<text x="2" y="16" font-size="16" {attribute}>Hill</text>')
    assert ink(draw_svg(document, backgroundColor="white")) > 60


def test_weights_and_families_differ() -> None:
    """Bold is heavier than regular, monospace is another face."""
    regular, bold, mono = (
        draw_svg(svg(f'<text x="2" y="16" font-size="12" {more}>Hill</text>'), backgroundColor="white")
        for more in ("", 'font-weight="900"', 'font-family="monospace"')
    )
    assert ink(bold) > ink(regular)
    assert not np.array_equal(regular, mono)


def test_the_same_input_gives_the_same_bytes() -> None:
    """And says that it is a PNG."""
    assert run(svg_kind, {"svg": RED}) == run(svg_kind, {"svg": RED})
    assert run(svg_kind, {"svg": RED})[1] == "image/png"


@pytest.mark.parametrize(
    "document",
    [
        svg('<a href="https://example.org/"><rect width="9" height="9"/></a>'),
        svg('<defs><rect id="r" width="9" height="9"/></defs><use xlink:href="#r"/>'),
        svg('<style>/* url(http://x) */ .a { fill: url("#g") }</style><linearGradient id="g"/>'),
        '<?xml version="1.0" encoding="UTF-16"?>' + RED,
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">' + RED,
        svg(f'<image href="data:image/svg+xml;base64,{base64.b64encode(RED.encode()).decode()}"/>'),
        svg("<g>" * 150 + "</g>" * 150),
    ],
)
def test_what_is_harmless_is_drawn(document: str) -> None:
    """Hyperlinks, local references, comments, a plain document type, SVG within SVG."""
    assert draw_svg(document).shape == (20, 40, 4)


def nested(document: str) -> str:
    """Return a document with another one in a data URL."""
    return svg(f'<image href="data:image/svg+xml;base64,{base64.b64encode(document.encode()).decode()}"/>')


def doubling(levels: int, fan: int) -> str:
    """Return a document of which each level uses the one before several times."""
    groups = [f'<g id="g{level}">' + f'<use href="#g{level - 1}"/>' * fan + "</g>" for level in range(1, levels)]
    return svg(f'<defs><rect id="g0" width="1" height="1"/>{"".join(groups)}</defs><use href="#g{levels - 1}"/>')


ENTITY = '<!DOCTYPE svg [<!ENTITY a "b">]>' + RED


@pytest.mark.parametrize(
    "document",
    [
        "no XML",
        "<html/>",
        svg("<g>"),
        svg("&nbsp;"),
        svg("\0"),
        RED.replace("http://www.w3.org/2000/svg", "urn:other"),
        ENTITY,
        "<!DOCTYPE svg []>" + RED,
        nested(ENTITY),
        nested(nested(nested(nested(RED)))),
        '<?xml-stylesheet href="http://example.org/a.css"?>' + RED,
        svg('<image href="http://169.254.169.254/latest/meta-data/"/>'),
        svg('<image xlink:href="file:///etc/passwd"/>'),
        svg('<image href="&#47;etc/passwd"/>'),
        svg('<image href="picture.png"/>'),
        svg('<image href="ftp://example.org/a.png"/>'),
        svg('<image href="data:text/html,hello"/>'),
        svg('<image href="data:image/svg+xml;base64,H4sIAAAA"/>'),
        svg('<use href="other.svg#a"/>'),
        svg('<script href="http://example.org/a.js"/>'),
        svg('<rect fill="url(http://example.org/a.svg#g)"/>'),
        svg("<rect style=\"fill: URL( 'http://example.org/a.svg#g' )\"/>"),
        svg('<style>@import "http://example.org/a.css";</style>'),
        svg("<style>@font-face { src: url(font.woff) }</style>"),
        svg("<style><![CDATA[ rect { fill: url(http://example.org/a#b) } ]]></style>"),
        svg("<g>" * 300 + "</g>" * 300),
        svg("<g>" * 100_000),
        doubling(12, 10),
        doubling(30, 2),
        svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'),
        svg('<g id="a"/>' + "".join(f'<use id="{n}" href="#{n - 1 or "a"}"/>' for n in range(1, 2000))),
        svg(f'<image href="{huge_png(60_000, 60_000)}"/>'),
        svg(f'<image href="{huge_png(2000, 2000)}"/>' * 3),
        svg(f'<filter id="f"><feImage href="{huge_png(60_000, 60_000)}"/></filter>'),
        svg(
            f'<marker id="m">{"<g/>" * 1000}</marker><path marker-mid="url(#m)" d="M0 0{" 1 1" * 10_000}"/>',
        ),
        svg(
            f'<style>path {{ marker: url(#m) }}</style><marker id="m">{"<g/>" * 1000}</marker><path d="M0 0{"h1" * 999}"/>'
        ),
        svg(size='width="100000" height="100000"'),
        svg(size='width="1e30" height="1"'),
        svg(size='width="-5" height="5"'),
        svg(size='width="0" height="5"'),
        "",
    ],
)
def test_what_could_do_harm_is_refused(document: str) -> None:
    """The field is named, and nothing is fetched, opened or allocated."""
    assert blamed(svg_kind, {"svg": document}) == "svg"


@pytest.mark.parametrize(
    ("spec", "config", "field"),
    [
        ({}, {}, "svg"),
        ({"svg": 5}, {}, "svg"),
        ({"svg": RED, "css": ""}, {}, "css"),
        ({"svg": RED}, {"width": 0}, "width"),
        ({"svg": RED}, {"width": 4000}, "width"),
        ({"svg": RED}, {"height": 2000}, "config.width"),
        ({"svg": RED}, {"scale": 100}, "config.scale"),
        ({"svg": RED}, {"scale": 2, "width": 5}, "scale"),
        ({"svg": RED}, {"scale": float("nan")}, "scale"),
        ({"svg": RED}, {"format": "jpeg"}, "format"),
        ({"svg": RED}, {"backgroundColor": "reddish"}, "backgroundColor"),
        ({"svg": RED}, {"dpi": 300}, "dpi"),
    ],
)
def test_a_bad_field_is_named(spec: dict[str, Any], config: dict[str, Any], field: str) -> None:
    """Of the spec and of the configuration."""
    assert blamed(svg_kind, spec, config) == field


@pytest.mark.in_process
def test_a_panic_while_drawing_is_an_error_of_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic of resvg is a BaseException; it must pass neither for a crash nor for a bad spec."""

    class PanicException(BaseException):
        """Stands in for the one of pyo3, which cannot be imported."""

    def panic(*_arguments: Any, **_options: Any) -> bytes:
        raise PanicException("called `Result::unwrap()` on an `Err` value: Oops")

    monkeypatch.setattr("resvg.render", panic)
    with pytest.raises(RuntimeError, match="cannot draw this document: Oops"):
        run(svg_kind, {"svg": RED})
