"""The numbers of path data and transforms, beside a plain reading of the grammar: the same on every Python, in linear time."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import time
from collections.abc import Callable, Iterator

import pytest

from renderer.errors import InvalidSpec
from renderer.kinds.numbers import ARC_AND_GAP, NUMBER, NUMBER_AND_GAP
from renderer.kinds.scene.pathdata import parse_path
from renderer.kinds.svg.affine import affine
from renderer.kinds.svg.check import check_svg
from renderer.kinds.svg.expand import LOCAL_URL
from renderer.kinds.svg.outline import path_reach
from renderer.kinds.svg.reach import declarations, numbers
from tests.renderer.test_svg import svg

LETTERS = "1.e-, "
DIGITS, BLANKS = "0123456789", " \t\n"


class Reader:
    """The grammar, read a character at a time; nothing is ever read twice."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def some(self, letters: str, most: int = 1 << 30) -> int:
        """Pass over letters of a set; return how many there were."""
        start = self.at
        while self.at < len(self.text) and self.at - start < most and self.text[self.at] in letters:
            self.at += 1
        return self.at - start

    def number(self) -> bool:
        """Pass over a number, or stay."""
        start = self.at
        self.some("+-", 1)
        whole = self.some(DIGITS)
        if not (self.some(".", 1) and self.some(DIGITS)) and not whole:
            self.at = start
            return False
        end = self.at
        if self.some("eE", 1):
            self.some("+-", 1)
            if not self.some(DIGITS):
                self.at = end
        return True

    def gap(self) -> bool:
        """Pass over blanks with at most one comma among them."""
        self.some(BLANKS)
        if self.some(",", 1):
            self.some(BLANKS)
        return True

    def arc(self) -> bool:
        """Pass over the seven numbers of an arc, and the gap behind it."""
        self.some(BLANKS)
        parts = (self.number, self.number, self.number, self.flag, self.flag, self.number, self.number)
        return all(part() and self.gap() for part in parts)

    def flag(self) -> bool:
        """Pass over the 0 or 1 of an arc's flag."""
        return self.some("01", 1) == 1


def short_texts() -> Iterator[str]:
    """Every text of up to six letters of the grammar."""
    for length in range(7):
        yield from map("".join, itertools.product(LETTERS, repeat=length))


def arcs() -> Iterator[str]:
    """Texts that are arcs, or nearly."""
    source = random.Random(11)  # noqa: S311 - no secret
    parts = ["1", "10", "0", ".5", "1.", "1.5", "-1", "+1", "1e1", "1e", "1e-", "e1", "01", "1.5.5", "--1", "."]
    gaps = ["", "", " ", ",", " , ", ",,", "  "]
    for _ in range(20_000):
        yield "".join(source.choice(parts) + source.choice(gaps) for _ in range(source.randint(1, 16)))


def test_a_number_is_what_the_grammar_says() -> None:
    """The pattern matches as far as the plain reading goes; `1e` is the number 1 and the letter e, and Python can read the rest."""
    pattern = re.compile(NUMBER)
    for text in short_texts():
        reader = Reader(text)
        read = reader.number()
        found = pattern.match(text)
        assert (found.end() if found else None) == (reader.at if read else None), text
        if found:
            float(found[0])


def test_a_number_takes_the_gap_behind_it() -> None:
    """Blanks and one comma; a second comma is left."""
    for text in short_texts():
        reader = Reader(text)
        reader.some(BLANKS)
        read = reader.number() and reader.gap()
        found = NUMBER_AND_GAP.match(text)
        assert (found.end() if found else None) == (reader.at if read else None), text


def test_an_arc_is_what_the_grammar_says() -> None:
    """A number that could be divided among two never is, and the flags may stand without a gap."""
    seen = set()
    for text in arcs():
        reader = Reader(text)
        read = reader.arc()
        found = ARC_AND_GAP.match(text)
        assert (found.end() if found else None) == (reader.at if read else None), text
        if found:
            assert [float(found[group]) for group in (1, 2, 4, 5)]
        seen.add(read)
    assert seen == {True, False}


def test_whatever_is_said_is_refused_or_read() -> None:
    """No check lets a number pass that raises later: `M0 0 h1e` did, and a transform with `2e`, on Python 3.11.2."""
    for text in itertools.islice(short_texts(), 0, None, 7):
        for path in (f"M0 0 h{text}", f"M0 0 a{text}", f"M0 0 a1 1 0 0 1{text}"):
            with contextlib.suppress(ValueError):
                parse_path(path)
            assert path_reach(path) >= 0
        assert affine(f"translate({text})").shift >= 0
        assert all(number >= 0 for number in numbers(text))


@pytest.mark.parametrize("data", ["M0 0 h1e", "M0 0 h1e+", "M0 0 a1 1 0 0 1 5 5e", "M0 0 L1 1e.5", "M0 0 h1 e5"])
def test_an_exponent_without_digits_is_malformed(data: str) -> None:
    """In a path of a scene; the message says where."""
    with pytest.raises(ValueError, match="malformed after"):
        parse_path(data)


@pytest.mark.parametrize("value", ["rotate(2e)", "translate(1e,2)", "scale(2e+)", "matrix(1e 0 0 1 0 0)"])
def test_a_transform_with_half_a_number_is_left_to_the_library(value: str) -> None:
    """The check measures it without a word; what is drawn of it is the library's to say."""
    check_svg(svg(f'<g transform="{value}"><rect width="1" height="1"/></g>'))


def _path(data: str) -> None:
    with contextlib.suppress(ValueError):
        parse_path(data)


def _document(inside: str) -> None:
    with contextlib.suppress(InvalidSpec):
        check_svg(svg(inside))


HOSTILE: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "path: one long number": (_path, lambda n: f"M0 0 h{'1' * n}x"),
    "path: an arc of one number": (_path, lambda n: f"M0 0 a{'1' * n}"),
    "path: an arc of two": (_path, lambda n: f"M0 0 a{'1' * n} {'1' * n}"),
    "path: an arc of points": (_path, lambda n: f"M0 0 a{'.1' * n}"),
    "path: an arc of fractions": (_path, lambda n: f"M0 0 a1.{'1' * n}.{'1' * n}e{'1' * n}"),
    "path: an arc of flags": (_path, lambda n: f"M0 0 a1 1 1 {'01' * n}"),
    "path: an arc of blanks": (_path, lambda n: f"M0 0 a1{' ' * n},{' ' * n}1{' ' * n}"),
    "path: an arc of commas": (_path, lambda n: f"M0 0 a1{',' * n}"),
    "path: exponents without digits": (_path, lambda n: f"M0 0 h{'1e' * n}"),
    "path: blanks": (_path, lambda n: f"M0 0 h{' ' * n}"),
    "reach: an arc of one number": (path_reach, lambda n: f"m0 0a{'1' * n}"),
    "reach: arcs, and what is none": (path_reach, lambda n: f"m0 0a{'1 1 0 01 5 5 ' * n}{'1 ' * n}"),
    "reach: an arc of blanks": (path_reach, lambda n: f"m0 0a1{' ' * n},{' ' * n}"),
    "reach: an arc of fractions": (path_reach, lambda n: f"m0 0a{'1.1' * n}"),
    "reach: exponents": (path_reach, lambda n: f"m0 0a{'1e' * n}"),
    "transform: a name": (affine, lambda n: "a" * n),
    "transform: names": (affine, lambda n: "a " * n),
    "transform: a name and blanks": (affine, lambda n: f"a{' ' * n}b"),
    "transform: brackets": (affine, lambda n: "a(" * n),
    "transform: numbers": (affine, lambda n: f"scale({'1e' * n})"),
    "lengths: a number": (numbers, lambda n: f"{'1' * n}px2"),
    "lengths: blanks": (numbers, lambda n: f"1{' ' * n}x"),
    "style: a name": (declarations, lambda n: "a" * n),
    "style: a name and blanks": (declarations, lambda n: f"a{' ' * n};"),
    "style: blanks before a value": (declarations, lambda n: f"a:{' ' * n};"),
    "reference: blanks": (LOCAL_URL.findall, lambda n: f"url({' ' * n}x"),
    "reference: a quote among blanks": (LOCAL_URL.findall, lambda n: f"url({' ' * n}'{' ' * n}x"),
    "selector: square brackets": (_document, lambda n: f"<style>{'[x' * n}{{ fill: url(#a) }}</style>"),
    "selector: round brackets": (_document, lambda n: f"<style>{'(x' * n}{{ fill: url(#a) }}</style>"),
    "selector: both": (_document, lambda n: f"<style>{'[(x' * n}{{ fill: url(#a) }}</style>"),
}


@pytest.mark.parametrize(("read", "text"), HOSTILE.values(), ids=HOSTILE)
def test_eight_times_the_text_takes_eight_times_the_time(
    read: Callable[[str], object], text: Callable[[int], str]
) -> None:
    """Not 64 times, as with a pattern that looks at each character for each other; so a bound of 24 says which it is.

    By the processor's time of this thread, the least of three: what else runs on the machine has no part in it.
    """

    def least(length: int) -> float:
        found = []
        for _ in range(3):
            given = text(length)
            started = time.thread_time()
            read(given)
            found.append(time.thread_time() - started)
        return min(found)

    short = 4_000
    # What takes less than this is no measure of anything.
    assert least(8 * short) < 24 * max(least(short), 0.000_2)
