"""Values that break programs: numbers, texts, JSON; and JSON text with what is wrong with it left in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that stands in the JSON as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Twice:
    """A value whose key is given twice, with another value first."""

    before: Any
    value: Any


def dumps(value: Any) -> str:
    """Return JSON text, with NaN and Infinity, lone surrogates, keys given twice and raw text where they were put."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Twice):  # where there is no key
        return dumps(value.value)
    if isinstance(value, dict):
        return "{" + ",".join(_member(key, item) for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)


def _member(key: str, value: Any) -> str:
    if isinstance(value, Twice):
        return f"{_member(key, value.before)},{_member(key, value.value)}"
    return f"{json.dumps(key)}:{dumps(value)}"


DEEP = [Raw("[" * depth + "]" * depth) for depth in (100, 900, 1_100, 10_000, 100_000)] + [
    Raw('{"a":' * depth + "1" + "}" * depth) for depth in (100, 500, 1_100, 10_000)
]
NUMBERS = [
    *(0, -0.0, 1, -1, 0.5, 5e-324, 1e-300, 1e-38, 1e-7, 1e6, -1e6, 1_000_001, 1e9, 1e38, 1e39, -1e39),
    *(1e308, -1e308, 2**31, 2**32, 2**53, 2**63, 2**64, -(2**63), 10**40, 10**400),
    *(float("nan"), float("inf"), float("-inf"), Raw("1e400"), Raw("-1e400"), Raw("1e-400"), Raw("01"), Raw("1.")),
    *(Raw("0." + "3" * 2000), Raw("1" * 5000), Raw("-"), Raw("+1"), Raw("0x10"), Raw("1_000")),
]
TEXTS = [
    *(
        "",
        " ",
        "\0",
        "\t",
        "\r",
        "\r\n\r\n",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\u2028\u2029",
        "\ufeff",
        "\uffff",
        "\U0010ffff",
    ),
    *(
        "שלום",
        "مرحبا بالعالم",
        "abc שלום 123 عربي",
        "ไทย",
        "हिन्दी",
        "漢字かな交じり文",
        "한국어",
        "👩‍👩‍👧‍👦🏳️‍🌈👍🏽",
        "🇩🇪🇫",
    ),
    *("\u200b", "\u200b\u200c\u200d\u2060\ufeff", "a\u200bb", "\u00ad", "\u202e\u202dabc\u202c", "\u2066" * 200 + "x"),
    *("\u202e" * 150 + "abc", "e" + "\u0301" * 500, "\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢", "\u0600\u06dd1", "ﷺ" * 50, "\ue000"),
    *("\ud800", "\udfff", "\udc00\ud800", "a\ud83d", "x" * 10_000, "x" * 10_001, "W " * 5_000, "\n" * 499, "\n" * 500),
    *("none", "NaN", "null", "1e5", "../../etc/passwd", "file:///etc/passwd", "http://169.254.169.254/", "%s%n{0}"),
]

numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(-10, 10), st.floats(width=64))
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20))
leaves = st.one_of(st.none(), st.booleans(), numbers, texts, st.sampled_from(DEEP))
anything = st.one_of(
    leaves,
    st.lists(leaves, max_size=3),
    st.dictionaries(texts, leaves, max_size=2),
    st.integers(2, 5_000).map(lambda count: [0] * count),
)


@st.composite
def spoilt(draw: st.DrawFn, values: st.SearchStrategy[Any], *, most: int = 3) -> Any:
    """Return a value of `values` with up to `most` places in it spoilt."""
    value = draw(values)
    for _ in range(draw(st.integers(0, most))):
        value = _spoil_once(draw, value)
    return value


def _spoil_once(draw: st.DrawFn, value: Any) -> Any:
    """Replace, take away, repeat or add at one place, the deeper the likelier."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _spoil_once(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], _spoil_once(draw, value[index]), *value[index + 1 :]]
    ways: dict[str, Callable[[], Any]] = {
        "replace": lambda: draw(anything),
        "twice": lambda: Twice(draw(anything), value),
    }
    if isinstance(value, dict):
        ways["add"] = lambda: {**value, draw(texts): draw(anything)}
        if value:
            gone = draw(st.sampled_from(sorted(value)))
            ways["remove"] = lambda: {key: item for key, item in value.items() if key != gone}
    if isinstance(value, list):
        ways["repeat"] = lambda: value * draw(st.sampled_from([2, 30, 200]))
    return ways[draw(st.sampled_from(sorted(ways)))]()
