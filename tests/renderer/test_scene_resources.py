"""Scenes in a child that has little: little memory, few descriptors, no threads, no file system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from renderer import samples
from tests.forks import forks

# Renders under limits, as a sandboxed child would, and prints how it ended: "ok", the threads and the bytes' hash.
RENDER_IN_LITTLE = """
import hashlib, json, os, resource
from renderer.kinds import scene as scene_kind, svg as svg_kind
from renderer.output import Output

def run(kind, spec, config, megabytes):
    module = {"scene": scene_kind, "svg": svg_kind}[kind]
    out = Output(os.memfd_create("output"))
    used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + megabytes * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    os.chdir("/proc/self/fdinfo")
    try:
        declared = module.render.__render_declaration__
        module.render(declared.spec.model_validate(spec), declared.config.model_validate(config), out)
        out.flush()
    except MemoryError:
        print("memory")
        return
    out.seek(0)
    digest = hashlib.sha256()
    while block := out.read(65536):
        digest.update(block)
    print("ok", len(os.listdir("/proc/self/task")), digest.hexdigest())
"""

Press = Callable[[str, dict[str, Any], dict[str, Any], int], tuple[str, str]]


@pytest.fixture(scope="module")
def render_in_little() -> Iterator[Press]:
    """Provide what returns how it ended ("ok", "memory" or the tail of what went wrong) and the hash of what was written."""
    with forks(RENDER_IN_LITTLE, {"OPENBLAS_NUM_THREADS": "1"}) as process:

        def render(kind: str, spec: dict[str, Any], config: dict[str, Any], megabytes: int) -> tuple[str, str]:
            told = process.run(kind, spec, config, megabytes)
            words = told.stdout.split()
            if told.status == 0 and words[:2] == ["ok", "1"]:
                return "ok", words[2]
            return (told.stdout.strip() or f"status {told.status}: {told.stderr[-500:]}"), ""

        yield render


def half_a_second(**changes: Any) -> dict[str, Any]:
    """Return the sample scene, cut short."""
    return {**samples.scene(), "metadata": {"duration": 0.5}, **changes}


@pytest.mark.parametrize(
    ("config", "megabytes"),
    [
        ({}, 256),
        ({"format": "webm"}, 256),
        ({"format": "gif", "fps": 10}, 256),
        ({"format": "png"}, 64),
        ({"width": 1920, "height": 1080}, 400),
        ({"width": 3840, "height": 2160, "fps": 10}, 512),
    ],
)
def test_a_scene_fits(render_in_little: Press, config: dict[str, Any], megabytes: int) -> None:
    """Megabytes above what the process has once it has imported; no thread is started."""
    assert render_in_little("scene", half_a_second(), config, megabytes)[0] == "ok"


@pytest.mark.parametrize("name", ["mp4", "webm", "gif", "png"])
@pytest.mark.parametrize("megabytes", [1, 6, 24])
def test_too_little_memory_is_said_so(render_in_little: Press, name: str, megabytes: int) -> None:
    """MemoryError, whatever the encoder calls it; never a crash, never a video with frames missing."""
    outcome, _ = render_in_little("scene", half_a_second(), {"format": name}, megabytes)
    assert outcome == "memory" or (name == "png" and outcome == "ok")


def test_a_picture_is_whole_or_it_is_not_there(render_in_little: Press) -> None:
    """A layer that skia has no memory for would leave an object out without a word."""
    ring = {"type": "ellipse", "x": 900, "y": 500, "radius": 300, "stroke": "red", "strokeWidth": 90, "opacity": 0.5}
    spec = {"metadata": {"duration": 1}, "objects": [ring]}
    config = {"format": "png", "width": 1920, "height": 1080}
    ends = [render_in_little("scene", spec, config, megabytes) for megabytes in (17, 20, 23, 26, 40, 200)]
    assert {outcome for outcome, _ in ends} == {"ok", "memory"}
    assert len({digest for outcome, digest in ends if outcome == "ok"}) == 1


def test_an_svg_fits_or_says_so(render_in_little: Press) -> None:
    """The memory for the picture is asked for before resvg, which cannot report that it has none."""
    config = {"width": 2000}
    assert render_in_little("svg", samples.svg(), config, 160)[0] == "ok"
    assert render_in_little("svg", samples.svg(), config, 16)[0] == "memory"
