"""Texts that leave ink, in any script: a letter that no font has is drawn as a box, not left out."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

# Letters and symbols by their category, and blank to look at.
_BLANK = {"\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u00ad", "\ufffc", "\U0001d159"}
_SAMPLES = [
    *(
        "שלום",
        "مرحبا",
        "a\u200bb",
        "\u200f\u202eabc",
        "漢字",
        "👍🏽",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "\ufeffx",
        "ไทย",
        "हिन्दी",
        "한국어",
        "ﷺ",
    ),
    *(
        "fi ffi",
        "AV",
        "\u2066x\u2069",
        "\u202e" * 150 + "abc",
        "x\0y",
        "a\tb",
        "½",
        "\ue000",
        "\U00020000",
        "\U0001d56c",
    ),
]


def has_ink(text: str) -> bool:
    """Say whether a text has a letter, number, sign or symbol that is not blank."""
    return any(unicodedata.category(letter)[0] in "LNPS" and letter not in _BLANK for letter in text)


readable_texts = (
    st.one_of(st.sampled_from(_SAMPLES), st.text(min_size=1, max_size=6))
    .map(lambda text: text.encode(errors="replace").decode().replace("\n", "").strip())
    .filter(has_ink)
)
