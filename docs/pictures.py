"""Make the pictures of docs/ again from docs/scenes/, and put the scenes into the pages that show them.

Run it as `python docs/pictures.py` after a change to a scene or an upgrade of a library that draws. A page names a
scene in a comment, `<!-- scenes/NAME -->`; the block of code that follows is replaced by the file.
"""

# ruff: noqa: INP001 - a script, no module of a package

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from renderer.kinds import scene, svg
from renderer.output import Output

DOCS = Path(__file__).parent
SCENES = DOCS / "scenes"
PICTURES = DOCS / "pictures"
PAGES = (DOCS / "scene.md", DOCS / "svg.md")

# What is not a PNG of 320 x 180 at its beginning.
DEFAULTS: dict[str, Any] = {"width": 320, "height": 180, "format": "png", "backgroundColor": "#f8fafc"}
CONFIGS: dict[str, dict[str, Any]] = {
    "property.json": {"time": 1.2},
    "transform.json": {"time": 1},
    "keyframes.json": {"time": 1.5},
    "easing.json": {"time": 1.2},
    "repeat.json": {"format": "gif", "fps": 15},
    "pipeline.json": {"format": "gif", "fps": 15, "width": 640, "height": 360},
    "svg-shapes.svg": {"width": 320},
    "svg-text.svg": {"width": 320, "backgroundColor": "#f8fafc"},
}
_BLOCK = re.compile(r"(<!-- scenes/(?P<name>[\w.-]+) -->\n)```\w+\n.*?```\n", re.DOTALL)


def render(source: Path) -> tuple[str, bytes]:
    """Render one file of docs/scenes; return the name of its picture and the picture."""
    config = CONFIGS.get(source.name, {})
    with tempfile.TemporaryFile() as file:
        out = Output(file.fileno())
        if source.suffix == ".svg":
            svg.render(svg.SvgSpec(svg=source.read_text()), svg.SvgConfig.model_validate(config), out)
        else:
            spec = scene.SceneSpec.model_validate(json.loads(source.read_text()))
            scene.render(spec, scene.SceneConfig.model_validate(DEFAULTS | config), out)
        out.flush()
        picture = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
        suffix = out.content_type.rpartition("/")[2]
        out.close()
    return f"{source.stem}.{suffix}", picture


def sources() -> list[Path]:
    """Return the files of docs/scenes."""
    return sorted(SCENES.iterdir())


def everything() -> list[Path]:
    """Return whatever becomes a picture: those files, and the sample scene that the README shows."""
    return [*sources(), DOCS.parent / "renderer/samples/pipeline.json"]


def with_scenes(page: str) -> str:
    """Return a page with each scene that it names as the file has it."""

    def block(match: re.Match[str]) -> str:
        source = SCENES / match["name"]
        language = "xml" if source.suffix == ".svg" else "json"
        return f"{match[1]}```{language}\n{source.read_text()}```\n"

    return _BLOCK.sub(block, page)


def main() -> None:
    """Write every picture and refresh every page."""
    PICTURES.mkdir(exist_ok=True)
    for source in everything():
        name, picture = render(source)
        (PICTURES / name).write_bytes(picture)
    for page in PAGES:
        page.write_text(with_scenes(page.read_text()))


if __name__ == "__main__":
    main()
