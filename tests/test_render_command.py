"""`jobsupervisor render`: from file to file, on a database of its own or on one that is there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import get_args

import av
import psycopg
import pytest

from renderer import registry
from supervisor.cli.local import _FORMATS
from tests.commands import environment, fails, open_home, succeeds
from tests.prepared import COMMAND
from tests.renderer.drawing import decode, rgb

CHECKOUT = Path(__file__).parents[1]
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">
<rect width="20" height="20" fill="#ff0000"/><rect x="20" width="20" height="20" fill="#0000ff"/></svg>"""
RECT = {"id": "a", "type": "rectangle", "x": 0, "y": 0, "width": 32, "height": 32, "fill": "#00ff00"}
MOVE = {"target": "a", "property": "y", "from": 0, "to": 16, "duration": 1}
SCENE = {"objects": [RECT], "animations": [MOVE], "duration": 1}


@pytest.fixture
def home() -> Iterator[Path]:
    """Provide a directory with inputs in it; a command may leave nothing there but its output."""
    with open_home() as path:
        (path / "in.svg").write_text(SVG)
        (path / "scene.json").write_text(json.dumps(SCENE))
        yield path


def made(home: Path) -> set[str]:
    """Return what was made in the home directory besides the inputs."""
    return {path.name for path in home.iterdir()} - {"in.svg", "scene.json"}


def test_svg_to_png(home: Path) -> None:
    """An SVG becomes a PNG of its size with its colours, the file's name is the output, and nothing else is left."""
    assert succeeds(home, "render", "in.svg", "-o", "out.png") == "out.png\n"
    pixels = decode((home / "out.png").read_bytes())
    assert pixels.shape == (20, 40, 4)
    assert (rgb(pixels, 10, 10), rgb(pixels, 30, 10)) == ((255, 0, 0), (0, 0, 255))
    assert made(home) == {"out.png"}


def test_scene_to_mp4(home: Path) -> None:
    """A scene becomes a video with the asked size and rate: H.264, with as many frames as its duration has."""
    succeeds(
        home, "render", "scene.json", "-o", "new/out.mp4", "--set", "width=64", "--set", "height=48", "--set", "fps=10"
    )
    with av.open(home / "new/out.mp4") as video:
        (stream,) = video.streams.video
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 64, 48)
        assert stream.average_rate == Fraction(10)
    assert len(frames) == 10
    red, green, blue = (int(value) for value in frames[5][24, 8])
    assert green > 200
    assert max(red, blue) < 60
    assert made(home) == {"new"}


def test_standard_input_to_gif(home: Path) -> None:
    """A scene that is piped in becomes a GIF with its frames, since the output's name says so."""
    arguments = ["--set", "width=64", "--set", "height=48", "--set", "fps=5"]
    succeeds(home, "render", "-", "-o", "out.gif", *arguments, given=json.dumps(SCENE))
    with av.open(home / "out.gif") as video:
        frames = list(video.decode(video=0))
    assert len(frames) == 5
    assert (frames[0].width, frames[0].height) == (64, 48)
    assert made(home) == {"out.gif"}


def test_an_invalid_spec(home: Path) -> None:
    """The failure is told with the field, exit code 1; a file that was there before is still as it was."""
    (home / "scene.json").write_text(
        json.dumps(SCENE | {"animations": [], "objects": [RECT, RECT | {"id": "b", "width": -1}]})
    )
    (home / "out.png").write_text("as before")
    said = fails(1, home, "render", "scene.json", "-o", "out.png")
    assert "invalid: objects[1].width: " in said
    assert (home / "out.png").read_text() == "as before"
    assert made(home) == {"out.png"}


def test_an_invalid_setting(home: Path) -> None:
    """A value of --set that cannot be is told with its name; no file is made."""
    assert "invalid: config.width: " in fails(1, home, "render", "in.svg", "-o", "out.png", "--set", "width=0")
    assert made(home) == set()


@pytest.mark.parametrize(
    ("source", "output", "endings"),
    [
        ("in.svg", "out.tiff", ".png for the kind svg"),
        ("in.svg", "out.mp4", ".png for the kind svg"),
        ("scene.json", "out.avi", ".mp4 or .webm or .gif or .png for the kind scene"),
        ("scene.json", "out.svg", ".mp4 or .webm or .gif or .png for the kind scene"),
    ],
)
def test_an_output_of_an_unknown_format(home: Path, source: str, output: str, endings: str) -> None:
    """It is wrong usage, told with the endings that the kind has, before a database is started."""
    said = fails(2, home, "render", source, "-o", output)
    assert said.startswith(f"OUTPUT must end in {endings}, got {output}; or name a format with --set format=")
    assert made(home) == set()


def test_a_format_that_is_named(home: Path) -> None:
    """With --set format= the file may be called anything; case says nothing."""
    succeeds(home, "render", "in.svg", "-o", "out.tiff", "--set", "format=png")
    succeeds(home, "render", "in.svg", "-o", "OUT.PNG")
    assert (home / "out.tiff").read_bytes() == (home / "OUT.PNG").read_bytes()


def test_the_formats_are_those_of_the_kinds() -> None:
    """What the command knows of the built-in kinds is what their configs take."""
    for kind, known in _FORMATS.items():
        config = registry.load(kind, registry.BUILT_IN[kind]).declared.config
        assert config is not None
        assert get_args(config.model_fields["format"].annotation) == known


@pytest.mark.parametrize("output", ["/proc/out.png", "in.svg/out.png", "directory.png"])
def test_an_output_that_cannot_be_written(home: Path, output: str) -> None:
    """A place that takes no file is told with the reason, and no half-written file stands beside it."""
    (home / "directory.png").mkdir()
    said = fails(1, home, "render", "in.svg", "-o", output)
    assert f"the output must be writable: {output}: " in said
    assert made(home) == {"directory.png"}
    assert list((home / "directory.png").iterdir()) == []


def test_ctrl_c(home: Path) -> None:
    """Interrupted while it renders, the command ends with 130, without a file, and without anything left running."""
    settings = {"RENDER_PLUGINS": "gate=tests.kinds.behaviour:gate", "PYTHONPATH": str(CHECKOUT)}
    settings |= {"RENDER_ALLOW_NEEDS": f"gate:read={home}"}
    home.chmod(0o755)
    (home / "scene.json").write_text(json.dumps({"gate": str(home / "never")}))
    with subprocess.Popen(
        [COMMAND, "render", "scene.json", "--kind", "gate", "-o", "out.bin"],
        env=environment(home, **settings),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "out.bin: 50%" not in (line := process.stderr.readline()):
            assert line, "it ended before it showed progress"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        said = process.stderr.read()
    assert "interrupted; nothing was written" in said
    assert "Traceback" not in said
    assert made(home) == set()


def test_on_a_database_without_a_supervisor(home: Path, database: str) -> None:
    """With DATABASE_URL the job goes there, and where nobody serves it is rendered here: that one job, no other."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("select enqueue_render('noop', '{}', priority => 9)")
        artifacts = home / "artifacts"
        succeeds(
            home, "render", "in.svg", "-o", "out.png", DATABASE_URL=database, RENDER_ARTIFACTS_URL=f"file://{artifacts}"
        )
        rows = connection.execute("select kind, status, attempts from render_jobs order by kind").fetchall()
        alive = connection.execute("select count(*) from jobsupervisor.supervisor").fetchone()
    assert rows == [("noop", "queued", 0), ("svg", "completed", 1)]
    assert alive == (0,)
    (artifact,) = artifacts.rglob("*.png")
    assert (home / "out.png").read_bytes() == artifact.read_bytes()
    assert made(home) == {"out.png", "artifacts"}


def test_a_failure_on_a_database(home: Path, database: str) -> None:
    """A job that fails is not tried again: who waits is told at once, and it is in the dead letters."""
    plugins = {"RENDER_PLUGINS": "crash=renderer.samples.hostile:crash_hard"}
    (home / "scene.json").write_text("{}")
    arguments = ["render", "scene.json", "--kind", "crash", "-o", "out.bin"]
    said = fails(1, home, *arguments, DATABASE_URL=database, **plugins)
    assert "crash: the child ended with SIGSEGV" in said
    with psycopg.connect(database) as connection:
        assert connection.execute("select failure, attempts from render_dead_letters").fetchall() == [("crash", 1)]


# A process whose user is mapped nowhere may not have another user namespace (user_namespaces(7)).
WITHOUT_NAMESPACES = """
import os, sys
from renderer import syscalls
syscalls.unshare(syscalls.CLONE_NEWUSER)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_required_layer_that_is_missing(home: Path) -> None:
    """Where the sandbox that is required cannot be had, nothing is rendered: the layer is named, with where to look."""
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_NAMESPACES, COMMAND, "render", "in.svg", "-o", "out.png"],
        env=environment(home, RENDER_SANDBOX="required"),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr
    assert "user and process namespaces: " in result.stderr
    assert "jobsupervisor doctor" in result.stderr
    assert made(home) == set()
