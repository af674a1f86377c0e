"""The hermetic fonts: Lato for sans-serif and serif, IBM Plex Mono for monospace, from packages, never from the system.

The files are static instances, one per weight and slant, because resvg draws a variable font in its default weight
only. Everything is read at import, before the sandbox takes the files away; what is read is a catalogue and bytes, so
this module costs neither of the drawing libraries.
"""

from __future__ import annotations

import functools
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import fontpkg_ibm_plex_mono
import fontpkg_lato

SANS = "Lato"
MONO = "IBM Plex Mono"

_MONOSPACE_NAMES = frozenset(
    {"monospace", "mono", "ui-monospace", MONO.lower(), "courier", "courier new", "consolas", "menlo", "monaco"}
)

# The names that fontdb, the font store within resvg, gives to the five generic families, and resvg-py has no call to
# change. Faces are registered under these names as well, so that `font-family="monospace"` and unknown families (which
# fall back to the serif one) find a font.
_GENERIC_NAMES = {
    SANS: (SANS, "Arial", "Times New Roman", "Comic Sans MS", "Impact"),
    MONO: (MONO, "Courier New"),
}


@dataclass(frozen=True, slots=True)
class Face:
    """One font file. `weight` is 100 (thin) to 900 (black)."""

    family: str
    weight: int
    italic: bool
    path: Path

    @property
    def key(self) -> str:
        """Return a name that no other face has."""
        return f"{self.family}/{self.weight}{'i' if self.italic else ''}"


@functools.cache
def faces() -> tuple[Face, ...]:
    """Return every face that ships, in a fixed order."""
    found: list[Face] = []
    for package in (fontpkg_lato, fontpkg_ibm_plex_mono):
        root = Path(package.ROOT)
        listed = json.loads((root / "metadata.json").read_text(encoding="utf-8"))["files"]
        found += [
            Face(package.FAMILY, entry["weight"], entry["style"] == "italic", root / entry["path"]) for entry in listed
        ]
    return tuple(sorted(found, key=lambda face: face.key))


def family_for(name: str) -> str:
    """Return the family that stands in for `name`: a CSS family name, a generic one, or a comma-separated list."""
    for part in name.split(","):
        wanted = part.strip().strip("\"'").lower()
        if wanted in _MONOSPACE_NAMES:
            return MONO
        if wanted == SANS.lower():
            return SANS
    return SANS


@functools.cache
def face_for(family: str, weight: int, *, italic: bool) -> Face:
    """Return the nearest face: the family as `family_for` finds it, then the slant, then the closest weight."""
    known = family_for(family)
    candidates = [face for face in faces() if face.family == known and face.italic == italic]
    return min(candidates, key=lambda face: (abs(face.weight - weight), face.weight))


def font_collections() -> list[bytes]:
    """Return each face as an OpenType collection whose members differ in their family name alone."""
    return [_collection(face.path.read_bytes(), face.key, _GENERIC_NAMES[face.family]) for face in faces()]


def _collection(font: bytes, key: str, families: tuple[str, ...]) -> bytes:
    """Wrap one sfnt file in a collection: a table directory per family, glyphs shared, so that a name costs 500 bytes."""
    (count,) = struct.unpack_from(">H", font, 4)
    records = [struct.unpack_from(">4sIII", font, 12 + 16 * index) for index in range(count)]
    header_size = 12 + 4 * len(families)
    directory_size = 12 + 16 * count
    body_at = header_size + directory_size * len(families)
    names = [_name_table(family, f"{key}@{family}") for family in families]
    name_at = [body_at + len(font) + sum(len(table) for table in names[:index]) for index in range(len(names))]

    parts = [struct.pack(">4sHHI", b"ttcf", 1, 0, len(families))]
    parts += [struct.pack(">I", header_size + directory_size * index) for index in range(len(families))]
    for index, table in enumerate(names):
        parts.append(font[:12])
        for tag, checksum, offset, length in records:
            where = (name_at[index], len(table)) if tag == b"name" else (body_at + offset, length)
            parts.append(struct.pack(">4sIII", tag, checksum, *where))
    return b"".join([*parts, font, *names])


def _name_table(family: str, postscript: str) -> bytes:
    """Return a `name` table with a family (1) and a PostScript name (6), padded to four bytes."""
    texts = {1: family, 6: postscript.replace(" ", "").replace("/", "-")}
    encoded = {name_id: text.encode("utf-16-be") for name_id, text in texts.items()}
    records, offset = b"", 0
    for name_id, data in encoded.items():
        records += struct.pack(">6H", 3, 1, 0x409, name_id, len(data), offset)
        offset += len(data)
    table = struct.pack(">3H", 0, len(encoded), 6 + 12 * len(encoded)) + records + b"".join(encoded.values())
    return table + bytes(-len(table) % 4)
