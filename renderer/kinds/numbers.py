"""The numbers of SVG, as a stranger writes them in paths and transforms: patterns that read any text in linear time.

A possessive quantifier or an atomic group would say the same shortly. Python before 3.11.5 gets them wrong (`1e` passes for a
number), so no pattern here has one. Instead each part ends where it cannot go on: there is one way to read a text, and an
attempt to read it in another way ends at the first character.
"""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
"""One number, where nothing that must match follows it: then it is never tried again, shorter."""

_DIGITS = r"\d+(?!\d)"
_WHOLE = rf"[-+]?(?:{_DIGITS}(?:\.\d*(?!\d)|(?!\.))|\.{_DIGITS})(?:[eE][-+]?{_DIGITS}|(?![eE][-+]?\d))"
_GAP = r"\s*(?!\s)(?:,\s*(?!\s)|(?!,))"

NUMBER_AND_GAP = re.compile(rf"\s*{NUMBER}\s*(?:,\s*)?")
"""One number and what may stand around it in path data."""

# The two flags may stand without a gap: `a1 1 0 0110 10`.
ARC_AND_GAP = re.compile(
    rf"\s*({_WHOLE}){_GAP}({_WHOLE}){_GAP}{_WHOLE}{_GAP}([01]){_GAP}[01]{_GAP}({_WHOLE}){_GAP}({_WHOLE}){_GAP}"
)
"""One arc of path data: its groups are the radii, the first flag and the end point.

Match it from where the last arc ended. A search would try each digit of a long number as its start, each to the number's end.
"""
