"""A stranger's text, as it may be written to a terminal: what would move the cursor, hide or turn text around is spelled out.

Errors, tenants' names and what a child wrote are a stranger's. Of his text nothing reaches a terminal that is not printable:
control characters (C0, DEL, C1), marks that turn the direction of writing, separators of lines, halves of characters.
"""

from __future__ import annotations


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which each character is printable; the others as `\x1b` or `\u202e`. `lines` keeps line breaks."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or (lines and letter == "\n") else _spelled(letter) for letter in text
    )


def _spelled(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t\r":
        return {"\n": r"\n", "\t": r"\t", "\r": r"\r"}[letter]
    if code < 0x100:  # noqa: PLR2004 - two digits are enough
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits are
