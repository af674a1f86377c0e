"""No regular expression uses what Python's `re` gets wrong before 3.11.5: possessive quantifiers and atomic groups."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import renderer
import supervisor

CHECKOUT = Path(__file__).parent.parent
# What is escaped or in a set is passed over. A quantifier of braces is one of digits.
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(\(\?>|(?:[*+?]|\{\d*,?\d*\})\+)", re.DOTALL)
WAY_OUT = "Let each part end where it cannot go on, as in renderer/kinds/numbers.py."


def forbidden(text: str) -> list[str]:
    """Return the possessive quantifiers and atomic groups of a pattern."""
    return [part for part in _PARTS.findall(text) if part]


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the texts of a program with their lines, without the docstrings and what stands alone."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in alone:
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def test_no_text_of_the_project_is_such_a_pattern() -> None:
    """Neither a pattern nor a piece of one, in the product, the tests and the benchmarks."""
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: {text!r}"
        for package in ("renderer", "supervisor", "tests", "benchmarks")
        for path in sorted((CHECKOUT / package).rglob("*.py"))
        if path != Path(__file__)
        for line, text in _texts(ast.parse(path.read_text()))
        if forbidden(text)
    ]
    assert not found, f"{WAY_OUT} Here: {found}"


def test_no_pattern_is_put_together_to_one() -> None:
    """What the modules of the product have compiled, whatever it was made of."""
    found, seen = [], 0
    for package in (renderer, supervisor):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    seen += 1
                    text = value.pattern if isinstance(value.pattern, str) else value.pattern.decode("latin-1")
                    found += [f"{module.name}.{name}: {part}" for part in forbidden(text)]
    assert seen > 40
    assert not found, f"{WAY_OUT} Here: {found}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"\d++", ["++"]),
        (r"a*+b?+", ["*+", "?+"]),
        (r"a{2}+b{1,}+c{,3}+", ["{2}+", "{1,}+", "{,3}+"]),
        (r"(?>ab)", ["(?>"]),
        (r"[*+?}+]+\++\*+\?+\}+\(?>", []),
        (r"[]*+]+[^]*+]+[\]*+]+", []),
        ("a+b*c?", []),
    ],
)
def test_the_check_knows_one(text: str, parts: list[str]) -> None:
    """In a set or escaped, a quantifier is a letter."""
    assert forbidden(text) == parts
