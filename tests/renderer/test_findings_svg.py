"""What fuzzing found in documents, each made small: refused with the field named, quickly, or drawn."""

from __future__ import annotations

import contextlib
import time
from unittest import mock
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings

from renderer.errors import InvalidSpec
from renderer.kinds import svg as svg_kind
from renderer.kinds.scene.pathdata import parse_path
from renderer.kinds.svg import outline
from renderer.kinds.svg.check import check_svg
from tests.fuzz.pictures import GIF, JPEG, PNG, data_url, png, png_header
from tests.fuzz.scenes import path_data
from tests.renderer.drawing import blamed, draw_svg
from tests.renderer.test_svg import RED, nested, svg

FAR_TRIANGLE = "M-628893774 6 L-29 -893750190 27 22"
SHRUNK = '<use xlink:href="#i" transform="scale(0.00125 0.0016667)"/>'
FULL = 'width="800" height="600"'
WIDE = data_url("image/png", png(png_header(2000, 2000)))
WITHIN = svg(f'<image href="{WIDE}"/>').encode()


@pytest.mark.parametrize(
    "document",
    [
        svg('<circle r="1e20"/>'),
        svg(f'<path d="{FAR_TRIANGLE}"/>'),
        nested(svg('<circle r="1e20"/>')),
        svg('<g transform="scale(1000)">' * 4 + '<circle r="1"/>' + "</g>" * 4),
        svg('<g style="transform: scale(1e6)"><g style="transform: scale(1e6)"><circle r="1"/></g></g>'),
        svg("<style>g { transform: scale(1e6) }</style><g><g><circle r='1'/></g></g>"),
        svg('<svg viewBox="0 0 1e-9 1e-9"><circle r="1"/></svg>'),
        svg(f'<path d="m0 0{"l1e5 0 0 9" * 2000}"/>'),
        svg('<rect width="9" height="9" stroke="red" stroke-width="1e6" stroke-miterlimit="1e6"/>'),
        svg('<text font-size="1e9">x</text>'),
        svg('<path d="M0 0 1e400 9"/>'),
    ],
)
def test_a_drawing_that_reaches_too_far_out_is_refused(document: str) -> None:
    """Beyond some 10^9 pixels resvg panics, or aborts the child."""
    assert blamed(svg_kind, {"svg": document}) == "svg"


def test_what_reaches_far_in_units_of_its_own_is_drawn() -> None:
    """A map in metres is scaled down by its view box; a rectangle may be larger than any picture."""
    metres = '<path stroke="red" stroke-width="90000" d="M-2e7 -2e7 L2e7 2e7"/>'
    assert draw_svg(svg(metres, 'width="40" height="40" viewBox="-2e7 -2e7 4e7 4e7"'))[20, 20].tolist()[3] > 0
    assert draw_svg(svg('<rect x="-1e6" y="-1e6" width="2e6" height="2e6" fill="red"/>'))[9, 9, 0] == 255


def test_a_picture_that_is_enlarged_is_held_to_what_it_reaches_then() -> None:
    """The bound is of the pixels that are drawn."""
    document = svg('<circle r="1e7"/>')
    assert draw_svg(document).shape == (20, 40, 4)
    assert blamed(svg_kind, {"svg": document}, {"scale": 50}) == "svg"


@pytest.mark.parametrize(
    "inside",
    [
        '<feTurbulence baseFrequency="0.1" numOctaves="1000000"/>',
        f'<feConvolveMatrix order="100" kernelMatrix="{"1 " * 10_000}"/>',
        '<feMorphology operator="dilate" radius="1000"/>',
        '<feMorphology operator="dilate" radius="1e400 1"/>',
    ],
)
def test_a_filter_that_takes_hours_is_refused(inside: str) -> None:
    """Each took all of its ten seconds."""
    document = svg(f'<filter id="f">{inside}</filter><rect width="40" height="20" filter="url(#f)"/>')
    assert blamed(svg_kind, {"svg": document}) == "svg"


@pytest.mark.parametrize(
    "document",
    [
        svg(f"<text>{'x' * 500_000}</text>"),
        svg(f"<text>{'<tspan>x</tspan>' * 5_000}</text>"),
        svg(f"<style>{'* ' * 2_000} {{ fill: red }}</style>"),
        svg(f"<style>@media{{@media{{{'* ' * 2_000} {{ fill: red }}</style>"),
        svg(f"<style>{'.a { fill: red } ' * 20_000}</style>{'<g/>' * 5_000}"),
        svg("<g " + " ".join(f"a{index}=''" for index in range(50_000)) + "/>"),
        svg(f'<g style="{"fill:red;" * 50_000}"/>'),
        svg(f"<style>{'* { fill: url(#a) }' * 500}</style>{'<g/>' * 20_000}"),
        svg("<g opacity='.9'>" * 150 + "</g>" * 150),
        svg("<style>g { opacity: .9 }</style>" + "<g>" * 150 + "</g>" * 150),
        svg("".join(f'<g id="g{n}" opacity=".9"><use href="#g{n + 1}"/></g>' for n in range(150))),
        svg("".join(f'<mask id="m{n}" mask="url(#m{n + 1})"/>' for n in range(50)) + '<rect mask="url(#m0)"/>'),
        svg(f"<style>rect {{ {'fill: red;' * 50_000} }}</style>{'<rect/>' * 2_000}"),
        svg(f'<image id="i" href="{WIDE}"/>' + '<use href="#i"/>' * 100),
        svg('<use href="#g"/>' * 99 + f'<g id="g"><image href="{data_url("image/svg+xml", WITHIN)}"/></g>'),
    ],
)
def test_what_costs_the_square_of_its_length_is_refused(document: str) -> None:
    """Text, spans, selectors, attributes, declarations, layers within layers, a picture that is drawn again and again."""
    assert blamed(svg_kind, {"svg": document}) == "svg"


@pytest.mark.parametrize(
    "inside",
    [
        f'<g transform="{"a" * 200_000}"/>',
        f'<g transform="a{" " * 200_000}b"/>',
        f'<g transform="{"a(" * 100_000}"/>',
        f'<g style="{"a" * 200_000}"/>',
        f'<g style="a{" " * 200_000};"/>',
        f'<rect width="{"1" * 200_000}px2"/>',
        f'<path d="m0 0{" " * 200_000}"/>',
        f"<style>{'/* ' * 100_000}</style>",
        f"<style>{'a' * 200_000}</style>",
        f"<style>{'[x' * 100_000}{{ fill: url(#a) }}</style>",
        f"<style>{'}' * 200_000}</style>",
        f"<style>{'(' * 200_000}{{ fill: url(#a) }}</style>",
    ],
)
def test_long_texts_are_read_in_linear_time(inside: str) -> None:
    """Whatever becomes of them; the check looks at each character a few times, in a tenth of a second.

    One that looked at each for each other would take minutes, which a busy machine is not taken for.
    """
    started = time.process_time()
    with contextlib.suppress(InvalidSpec):
        check_svg(svg(inside))
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "address",
    [
        data_url("image/png", JPEG),
        data_url("image/svg+xml", PNG),
        data_url("image/png", png(png_header(0, 0))),
        "data:image/svg+xml," + RED.replace("red", "#f00"),
    ],
)
def test_a_picture_that_would_be_left_out_is_refused(address: str) -> None:
    """Its type is another, it has no pixels, or a # cuts it short."""
    assert blamed(svg_kind, {"svg": svg(f"<image href={quoteattr(address)}/>")}) == "svg"


@pytest.mark.parametrize(
    "address",
    [
        data_url("image/jpg", JPEG),
        data_url("text/plain", PNG),
        data_url("image/png", PNG).rstrip("="),
        "data:;base64," + data_url("", GIF).partition(",")[2],
        "data:image/svg+xml;utf8," + RED,
        "data:image/svg+xml;charset=utf-8," + RED.replace("red", "%23f00"),
    ],
)
def test_a_picture_is_drawn_in_whatever_way_it_is_written(address: str) -> None:
    """As it is found in documents."""
    document = svg(f"<image width='40' height='20' preserveAspectRatio='none' href={quoteattr(address)}/>")
    assert draw_svg(document)[10, 20, 3] > 0


@pytest.mark.parametrize(
    "pattern",
    [
        '<pattern id="p" width="1e5" height="1e5" patternUnits="userSpaceOnUse"><circle r="1"/></pattern>',
        '<pattern id="p" width="90" height="90"><circle r="1"/></pattern>',
        '<pattern id="p" href="#q"/><pattern id="q" width="1e5" height="1e5" patternUnits="userSpaceOnUse"><g/></pattern>',
        '<pattern id="p" width="9" height="9" patternTransform="scale(1e4)"><circle r="1"/></pattern>',
    ],
)
def test_a_pattern_whose_tile_is_larger_than_any_picture_is_refused(pattern: str) -> None:
    """A whole tile is drawn first: the child was aborted for want of 40 GB."""
    assert blamed(svg_kind, {"svg": svg(f'{pattern}<rect width="400" height="200" fill="url(#p)"/>')}) == "svg"


def test_patterns_are_drawn() -> None:
    """Small tiles, and one as large as what it fills."""
    for size in (
        'width="4" height="4" patternUnits="userSpaceOnUse"',
        'width="1" height="1"',
        'width="10%" height="10%"',
    ):
        pattern = f'<pattern id="p" {size}><rect width="40" height="20" fill="red"/></pattern>'
        assert draw_svg(svg(f'{pattern}<rect width="40" height="20" fill="url(#p)"/>'))[2, 2, 0] == 255


def test_a_picture_that_fills_a_shape_through_a_pattern_is_drawn() -> None:
    """As drawing programs write it: a tile as large as the shape, a picture within it scaled down to 1."""
    picture = f'<image id="i" width="800" height="600" href="{data_url("image/png", PNG)}"/>'
    pattern = f'<pattern id="p" patternContentUnits="objectBoundingBox" width="1" height="1">{SHRUNK}</pattern>'
    document = svg(f'<rect width="800" height="600" fill="url(#p)"/><defs>{pattern}{picture}</defs>', FULL)
    assert draw_svg(document)[300, 400].tolist()[3] == 200


def test_a_pattern_of_a_tenth_of_a_large_shape_is_drawn() -> None:
    """A percentage is one of the shape."""
    pattern = '<pattern id="p" width="10%" height="10%"><rect width="80" height="60" fill="red"/></pattern>'
    assert draw_svg(svg(f'{pattern}<rect width="800" height="600" fill="url(#p)"/>', FULL))[9, 9, 0] == 255


def test_a_long_chain_of_references_is_measured() -> None:
    """Whatever is allowed to be deep is not walked by recursion."""
    chain = "".join(f'<g id="g{n}"><use href="#g{n + 1}"/></g>' for n in range(150))
    assert draw_svg(svg(f'<defs>{chain}<rect id="g150" width="9" height="9"/></defs><use href="#g0"/>'))[4, 4, 3] == 255


@pytest.mark.parametrize(
    "rule",
    [
        ".cN { fill: url(#pN) }",
        "g:first-child .cN:not(a b) { fill: url( '#pN' ) }",
        "x, [class='cN'] { stroke: url(#pN) }",
        "@media all { .cN { fill: url(#pN) } }",
        ".cN { fill: url(#pN); x { }",
        ".\\63 N { fill: url(#pN) }",
    ],
)
def test_references_of_a_style_sheet_count_too(rule: str) -> None:
    """Ten patterns, each filled with the one before by a class, ten times over."""
    levels = [
        f'<pattern id="p{level}" width="9" height="9" patternUnits="userSpaceOnUse">'
        + f'<rect class="c{level - 1}" width="9" height="9"/>' * 10
        + "</pattern>"
        for level in range(1, 10)
    ]
    sheet = "".join(rule.replace("N", str(level)) for level in range(10))
    document = svg(f'<style>{sheet}</style>{"".join(levels)}<g><rect class="c9" width="9" height="9"/></g>')
    assert blamed(svg_kind, {"svg": document}) == "svg"


def test_a_style_sheet_with_a_gradient_is_drawn() -> None:
    """By class, by id, by name."""
    stop = '<stop stop-color="red"/>'
    sheet = "<style>.a, #b, ellipse { fill: url(#g) }</style>"
    document = svg(
        f'{sheet}<linearGradient id="g">{stop}</linearGradient><g><rect class="a" width="9" height="9"/></g>'
    )
    assert draw_svg(document)[4, 4].tolist() == [255, 0, 0, 255]


@settings(max_examples=200)
@given(path_data())
def test_no_path_leads_further_than_its_bound(data: str) -> None:
    """Whatever its commands; that of a flat arc, or of a chain of curves, is not one of its numbers."""
    with contextlib.suppress(ValueError):
        points = [value for _, values in parse_path(data) for value in values]
        with mock.patch.object(outline, "NEAR", 0.0):
            assert max(map(abs, points)) <= outline.path_reach(data) * 1.001 + 1e-6


@pytest.mark.parametrize(
    "data",
    [
        "M0 0" + "q1e5 0 0 9 1e5 0 0 -9" * 5_000,
        "M9 9" + "h9e5h-9e5v9e5v-9e5" * 5_000,
        "M113 322" + "a8256757 8256757 0 0 1 31 266a8256757 8256757 0 0 0-31-266" * 50,
        "M0 0" + "l9e4 1z" * 5_000,
    ],
)
def test_a_long_path_of_steps_back_and_forth_is_drawn(data: str) -> None:
    """Its numbers sum to far more than it reaches; drawing programs write nearly straight arcs with such radii."""
    assert draw_svg(svg(f'<path d="{data}" stroke="red"/>')).shape == (20, 40, 4)


@pytest.mark.parametrize(
    "data",
    [
        "M0 0 Q1e7 0 0 0" + "T1e7 0 0 0" * 5_000,
        "M0 0" + "q0 0 1e5 1e5" * 5_000,
        "M0 0 A1e9 1e9 0 1 1 9 9",
        "M0 0 A9e5 .001 0 0 1 0 9",
        "M0 0 a1 1 0 01 1e9 0",
        "M0 0 m1e9 0zl9 9",
    ],
)
def test_a_path_that_leads_too_far_is_refused(data: str) -> None:
    """Also where no number in it says so."""
    assert blamed(svg_kind, {"svg": svg(f'<path d="{data}"/>')}) == "svg"


def test_a_size_where_none_counts_is_passed_over() -> None:
    """As in a flag whose stars bear the size of the whole, and are enlarged a thousand times."""
    star = '<use href="#s" width="13500" height="9000" transform="scale(50000)"/>'
    assert draw_svg(svg(f'<path id="s" d="m0-1 .2.7H1z"/><g transform="scale(.00001)">{star}</g>')).shape == (20, 40, 4)
