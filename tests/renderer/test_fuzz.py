"""The same few cases each time, from the generators of tests.fuzz, through a real child: every end is a right one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from renderer.outcome import Outcome
from tests.fuzz.bench import Bench
from tests.fuzz.case import Case
from tests.fuzz.hunt import KINDS, Hunt
from tests.fuzz.judge import wrong
from tests.fuzz.pictures import LYING
from tests.fuzz.svgs import element
from tests.fuzz.values import DEEP, NUMBERS, TEXTS, Raw, Twice, dumps
from tests.renderer.test_svg import svg

_CASES = {"scene": 80, "svg": 60}


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Yield a bench with a real child."""
    with Bench() as found:
        yield found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_strange_specs_are_refused_or_drawn(bench: Bench, kind: str) -> None:
    """Each is `invalid` with a field, quickly, or an artifact of the size that was asked for."""
    hunt = Hunt(kind, bench)
    rounds = iter([False])
    hunt.go(1, lambda: next(rounds, True), most=_CASES[kind], small=False)
    assert not hunt.findings
    assert set(hunt.outcomes) <= {Outcome.OK, Outcome.INVALID}
    assert min(hunt.outcomes[Outcome.OK], hunt.outcomes[Outcome.INVALID]) >= _CASES[kind] // 10


BOX = {"type": "rectangle", "width": 5, "height": 5}
SMALL = dumps({"width": 16, "height": 16, "format": "png"})
DEEPER = [
    Raw(text)
    for depth in (10_000, 1_000_000)
    for text in ("[" * depth, "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth)
]


def _strange_scenes() -> Iterator[dict[str, Any]]:
    """Yield scenes with strange values: for a number, a text, a picture, an object, in free metadata, beside itself."""
    objects = [{**BOX, "x": value} for value in [*NUMBERS, *DEEP, *TEXTS]]
    objects += [{"type": "text", "text": value} for value in TEXTS]
    objects += [{"type": "image", "src": value} for value in LYING]
    objects += [{**BOX, "x": Twice(value, 5)} for value in NUMBERS]
    yield from ({"objects": [item], "duration": 1} for item in [*objects, *DEEP, *NUMBERS])
    for value in [*NUMBERS, *DEEP, *TEXTS]:
        yield {"objects": [BOX], "metadata": {"duration": 1, "free": value}}


def test_every_strange_value_has_a_right_end(bench: Bench) -> None:
    """Numbers, texts, bombs, wrong types, two formats in one; and the child goes on to the next."""
    cases = [Case("scene", dumps(spec), SMALL) for spec in _strange_scenes()]
    pictures = [svg(element("image", {"href": address, "width": "9", "height": "9"})) for address in LYING]
    cases += [Case("svg", dumps({"svg": document})) for document in pictures]
    for case in cases:
        assert wrong(case, bench.run(case)) is None, case.spec[:200]
    for value in DEEPER:
        seen = bench.run(Case("scene", dumps({"objects": value, "duration": 1}), SMALL))
        assert (seen.outcome, seen.message[:6]) == (Outcome.INVALID, "spec: "), seen.message
