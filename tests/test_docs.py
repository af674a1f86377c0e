"""Numbers in the documentation are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from renderer.sandbox import environment

DOCS = Path(__file__).parent.parent / "docs"
WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@pytest.mark.parametrize("page", ["plugins.md", "settings.md"])
def test_the_environment_of_a_child(page: str) -> None:
    """Both pages that tell how many variables a child has tell the right number."""
    text = " ".join((DOCS / page).read_text().split())
    assert f"{WORDS[len(environment())]} fixed" in text
