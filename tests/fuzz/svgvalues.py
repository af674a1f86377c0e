"""Values of attributes in SVG, honest ones and those that are not."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.values import TEXTS

IDS = ["a", "b", "c", "d", "e", "f", "h", "i"]
_ODD = [
    *(
        "0",
        "-0",
        "1",
        "1e3",
        "1e5",
        "1e7",
        "1e9",
        "1e20",
        "1e37",
        "1e38",
        "-1e38",
        "1e39",
        "1e400",
        "1e-3",
        "1e-7",
        "1e-38",
        "1e-400",
    ),
    *(
        "NaN",
        "inf",
        "-inf",
        "",
        " ",
        "100%",
        "-50%",
        "1e9%",
        "3em",
        "2ex",
        "5mm",
        "1in",
        "9" * 300,
        "1px2",
        "+.5",
        "1e",
        "0x5",
        "²",
    ),
]
_FAR = ("1e9", "1e2", "1e3", "-1e38", "1e400", "999")
_HUGE = [value for value in _ODD if value.startswith(_FAR) and value != "1e3"]
_TAME = [value for value in _ODD if value not in _HUGE]


def rarely(common: st.SearchStrategy[str], rare: st.SearchStrategy[str], odds: int) -> st.SearchStrategy[str]:
    """Return a strategy that takes from `rare` once in so many times."""
    return st.integers(0, odds).flatmap(lambda drawn: rare if drawn == odds // 2 else common)


small = st.one_of(st.integers(-10, 70).map(str), st.floats(-10, 70, width=16).map(repr))
number = rarely(st.one_of(small, small, st.sampled_from(_TAME)), st.sampled_from(_HUGE), 400)
colour = st.sampled_from(
    ["red", "#0f0", "rgb(1,2,3)", "rgba(1,2,3,.5)", "hsl(1 2% 3%)", "currentColor", "inherit", "none", "#ffff", "x", ""]
)
paint = st.one_of(
    colour,
    st.sampled_from(IDS).map(lambda name: f"url(#{name})"),
    st.sampled_from(
        ["context-fill", "url(#a) red", "url(#none) none", "url('#b')", "url(#c", "url(http://example.org/#a)"]
    ),
)
_function = st.one_of(
    st.tuples(number, number).map(lambda two: f"translate({two[0]},{two[1]})"),
    st.tuples(number, number).map(lambda two: f"scale({two[0]} {two[1]})"),
    number.map(lambda one: f"rotate({one})"),
    number.map(lambda one: f"skewX({one})"),
    st.lists(number, min_size=6, max_size=6).map(lambda six: f"matrix({' '.join(six)})"),
)
transform = st.lists(_function, min_size=1, max_size=2).map(" ".join)
text = st.one_of(
    st.sampled_from([value for value in TEXTS if len(value) < 2_000]), st.text(max_size=12), st.just("Text")
).map(
    lambda value: "".join(
        letter for letter in value if letter in "\t\n" or " " <= letter < "\ud800" or letter > "\udfff"
    )
)
