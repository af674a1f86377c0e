"""The pictures in docs/ are what the project draws, and the pages show the scenes that they were drawn from."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.renderer.drawing import decode

DOCS = Path(__file__).parents[2] / "docs"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures = _load()


@pytest.mark.parametrize("source", pictures.everything(), ids=lambda source: str(source.name))
def test_a_picture_is_what_its_scene_gives(source: Path) -> None:
    """The very bytes; on a processor that rounds otherwise, the same picture to within a shade."""
    name, drawn = pictures.render(source)
    committed = (DOCS / "pictures" / name).read_bytes()
    if drawn != committed and name.endswith(".png"):
        difference = np.abs(decode(drawn).astype(int) - decode(committed).astype(int))
        assert difference.max() <= 2, f"{name} is not what {source.name} gives: run python docs/pictures.py"
    else:
        assert drawn == committed, f"{name} is not what {source.name} gives: run python docs/pictures.py"


@pytest.mark.parametrize("page", pictures.PAGES, ids=lambda page: str(page.name))
def test_a_page_shows_the_scenes_as_they_are(page: Path) -> None:
    """Every snippet is the file that it names, and every picture that is named exists."""
    text = page.read_text()
    assert pictures.with_scenes(text) == text, f"{page.name} shows an old scene: run python docs/pictures.py"
    shown = re.findall(r"\]\((pictures/[\w.-]+)\)", text)
    assert shown
    assert all((DOCS / picture).is_file() for picture in shown)


def test_every_scene_is_shown() -> None:
    """No file of docs/scenes is forgotten."""
    text = "".join(page.read_text() for page in pictures.PAGES)
    assert all(f"<!-- scenes/{source.name} -->" in text for source in pictures.sources())
