"""Scenes in a child that has little: little memory, few descriptors, no threads, no file system."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from renderer import samples
from tests.plugins import leaks

# For each line a fork that renders under limits, as a sandboxed child would; a line with its status, what it printed ("ok",
# the threads and the bytes' hash, or "memory"), and what it complained of.
RENDER_IN_LITTLE = """
import hashlib, json, os, resource, sys, traceback
from renderer.kinds import scene as scene_kind, svg as svg_kind
from renderer.output import Output

def render(kind, spec, config, megabytes):
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

for line in sys.stdin:
    streams = [os.memfd_create("stdout"), os.memfd_create("stderr")]
    pid = os.fork()
    if pid == 0:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        status = 1
        try:
            render(*json.loads(line))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told = [status]
    for stream in streams:
        os.lseek(stream, 0, os.SEEK_SET)
        with open(stream, errors="replace") as text:
            told.append(text.read())
    print(json.dumps(told), flush=True)
"""

Press = Callable[[str, dict[str, Any], dict[str, Any], int], tuple[str, str]]


@pytest.fixture(scope="module")
def render_in_little() -> Iterator[Press]:
    """Provide what returns how it ended ("ok", "memory" or the tail of what went wrong) and the hash of what was written."""
    with subprocess.Popen(
        [sys.executable, "-c", RENDER_IN_LITTLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        leaks.KEPT.add(process.pid)
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def render(kind: str, spec: dict[str, Any], config: dict[str, Any], megabytes: int) -> tuple[str, str]:
            asked.write(json.dumps([kind, spec, config, megabytes]) + "\n")
            asked.flush()
            status, said, complained = json.loads(told.readline())
            words = said.split()
            if status == 0 and words[:2] == ["ok", "1"]:
                return "ok", words[2]
            return (said.strip() or f"status {status}: {complained[-500:]}"), ""

        yield render
        leaks.KEPT.remove(process.pid)


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
