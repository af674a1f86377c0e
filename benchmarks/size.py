"""How large a run is: the whole form, the quick one, and a tiny one that only proves that every benchmark runs."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class Size(Enum):
    """The three forms. Called with a value for each, it returns its own: `rounds = size(3000, 300, 5)`."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"

    def __call__(self, full: T, quick: T, tiny: T) -> T:
        """Return the value for this form."""
        return {Size.FULL: full, Size.QUICK: quick, Size.TINY: tiny}[self]
