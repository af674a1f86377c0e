"""The hermetic fonts: which face stands in for what is asked for."""

from __future__ import annotations

import pytest

from renderer import fonts


@pytest.mark.parametrize(
    ("asked", "family"),
    [
        ("Lato", "Lato"),
        ("sans-serif", "Lato"),
        ("serif", "Lato"),
        ("No Such Font", "Lato"),
        ("monospace", "IBM Plex Mono"),
        ("'IBM Plex Mono', serif", "IBM Plex Mono"),
        ("Menlo, monospace", "IBM Plex Mono"),
        ('"Nope", Lato', "Lato"),
    ],
)
def test_a_family_is_found_or_replaced(asked: str, family: str) -> None:
    """A known name, a generic name and a list find their family; the rest is Lato."""
    assert fonts.family_for(asked) == family


@pytest.mark.parametrize(("weight", "nearest"), [(400, 400), (450, 400), (710, 700), (100, 100), (1000, 900)])
def test_the_nearest_weight_is_taken(weight: int, nearest: int) -> None:
    """There is a face for every hundred."""
    assert fonts.face_for("Lato", weight, italic=False).weight == nearest


def test_every_face_is_a_file_that_ships() -> None:
    """Nothing depends on a font of the system."""
    assert len(fonts.faces()) == 32
    assert all(face.path.is_file() for face in fonts.faces())
    assert fonts.face_for("monospace", 700, italic=True).italic
