"""Scenes as MP4, WebM and GIF: frames, times, colours, and the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from renderer.kinds import scene as scene_kind
from renderer.output import Output
from tests.renderer.drawing import run, scene

SIZE = {"width": 96, "height": 64}
SPEC = scene(
    [
        {"type": "rectangle", "width": 96, "height": 64, "fill": "#c83c14"},
        {"type": "circle", "id": "a", "x": 10, "y": 32, "radius": 8, "fill": "#14c83c"},
        {"type": "text", "x": 48, "y": 40, "text": "Hill", "align": "center"},
    ],
    {"target": "a", "property": "x", "to": 86, "duration": 1, "easing": "easeInOutSine"},
)

# Prints the SHA-256 of a rendering, in a process of its own.
RENDER_AND_HASH = """
import hashlib, json, sys
from renderer.kinds import scene as scene_kind
from renderer.output import Output
from tests.renderer.drawing import run
print(hashlib.sha256(run(scene_kind, *json.load(sys.stdin))[0]).hexdigest())
"""


def video(seconds: float = 1, **config: Any) -> tuple[bytes, str]:
    """Render the scene; return bytes and content type."""
    return run(scene_kind, {**SPEC, "metadata": {"duration": seconds}}, {**SIZE, **config})


def frames(data: bytes) -> list[av.VideoFrame]:
    """Decode a video."""
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize(
    ("name", "content_type", "codec"),
    [("mp4", "video/mp4", "h264"), ("webm", "video/webm", "vp9"), ("gif", "image/gif", "gif")],
)
def test_each_format_is_what_it_says(name: str, content_type: str, codec: str) -> None:
    """Type, codec, size, and the number of frames."""
    data, told = video(format=name, fps=20)
    assert told == content_type
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == (codec, 96, 64)
    assert len(frames(data)) == 20


@pytest.mark.parametrize(
    ("seconds", "fps", "count"),
    [(1, 30, 30), (0.5, 25, 12), (1.01, 10, 10), (0.001, 30, 1), (2, 29.97, 60), (1, 120, 120)],
)
def test_frames_are_counted_and_timed_exactly(seconds: float, fps: float, count: int) -> None:
    """Duration times rate, rounded, at least one; frame i stands at i / rate."""
    found = frames(video(seconds, fps=fps)[0])
    rate = scene_kind.SceneConfig(fps=fps).rate
    assert len(found) == count
    for index, frame in enumerate(found):
        assert frame.pts is not None
        assert frame.time_base is not None
        assert frame.pts * frame.time_base == index / rate


def test_mp4_can_be_played_while_it_loads() -> None:
    """The index stands before the frames."""
    data, _ = video()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("name", ["mp4", "webm"])
def test_colours_survive_and_are_tagged(name: str) -> None:
    """BT.709, limited range, said in the stream and true of the pixels."""
    frame = frames(video(format=name, quality=90)[0])[0]
    assert (frame.colorspace, frame.color_trc, frame.color_primaries, frame.color_range) == (1, 1, 1, 1)
    pixel = frame.to_ndarray(format="rgb24", src_colorspace=1, dst_color_range=2)[4, 80]
    assert pixel.tolist() == pytest.approx([200, 60, 20], abs=6)


@pytest.mark.parametrize(("seconds", "fps"), [(1, 30), (1, 50), (0.5, 100), (0.37, 7)])
def test_gif_takes_as_long_as_the_scene(seconds: float, fps: float) -> None:
    """Its clock has a hundredth of a second; the roundings do not add up. It loops for ever."""
    data, _ = video(seconds, format="gif", fps=fps)
    delays = [data[at + 4] + data[at + 5] * 256 for at in range(len(data)) if data[at : at + 3] == b"!\xf9\x04"]
    assert sum(delays) == pytest.approx(round(seconds * 100), abs=1)
    assert min(delays) >= 2
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in data


def test_gif_lets_what_stands_still_stand() -> None:
    """Two frames, as long as the scene, where nothing moves."""
    data, _ = run(scene_kind, scene([]), {**SIZE, "format": "gif"})
    assert len(frames(data)) == 2
    delays = [data[at + 4] + data[at + 5] * 256 for at in range(len(data)) if data[at : at + 3] == b"!\xf9\x04"]
    assert sum(delays) == 100


def test_gif_shows_the_colours() -> None:
    """The palette holds what the scene shows."""
    frame = frames(video(format="gif", fps=10)[0])[-1]
    pixel = frame.to_ndarray(format="rgb24")[4, 80]
    assert pixel.tolist() == pytest.approx([200, 60, 20], abs=6)


def test_quality_is_paid_for_in_bytes() -> None:
    """Low is smaller than medium, medium smaller than high; a number will do."""
    for name in ("mp4", "webm"):
        sizes = [len(video(format=name, quality=quality)[0]) for quality in ("low", "medium", "high", 100)]
        assert sizes == sorted(sizes)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    """Told once a frame."""
    told: list[float] = []
    with (tmp_path / "out").open("w+b") as file:
        out = Output(file.fileno(), told.append)
        scene_kind.render(
            scene_kind.SceneSpec.model_validate(SPEC), scene_kind.SceneConfig(width=64, height=64, fps=10), out
        )
        out.close()
    assert told == pytest.approx([index / 10 for index in range(1, 11)])


@pytest.mark.parametrize("name", ["mp4", "webm", "gif", "png"])
def test_the_same_input_gives_the_same_bytes(name: str) -> None:
    """In this process twice, and in another one that has a single processor."""
    config = {**SIZE, "format": name, "fps": 10}
    first, second = run(scene_kind, SPEC, config)[0], run(scene_kind, SPEC, config)[0]
    assert first == second
    one_cpu = {min(os.sched_getaffinity(0))}
    told = subprocess.run(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {one_cpu})\n{RENDER_AND_HASH}"],
        input=json.dumps([SPEC, config]),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert told.stdout.strip() == hashlib.sha256(first).hexdigest()
