"""Memory: cases 1 to 8. Whatever way a job takes to memory, it ends as `memory`, or gets none."""

from __future__ import annotations

import base64
import mmap
from typing import Any

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

SMALL: dict[str, Any] = {"memory_mb": 64}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
SCENE = {"objects": [{"type": "rectangle", "id": "a", "width": 5, "height": 5}], "duration": 1}


def _png(width: int, height: int) -> str:
    """Return a data URL whose header claims a size, and which holds no more than the header."""
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\0\0\0"
    return "data:image/png;base64," + base64.b64encode(header).decode()


CASES = [
    case("1 heap", "memory.heap", "memory", **SMALL),
    case("1 small objects that are never let go", "memory.small_objects", "memory", **SMALL),
    case("1 native heap, unchecked", "memory.native", "memory", **SMALL),
    case("1 garbage that resurrects", "memory.resurrect", "memory", **SMALL),
    case("1 zip bomb in memory", "memory.decompress", "memory", **SMALL),
    case("1 many mappings", "memory.many_mappings", "memory", **SMALL),
    case("1 want of memory that is swallowed", "memory.swallow", "memory", **SMALL),
    case("2 reserve 64 GiB", "memory.reserve", "memory", spec={"flags": mmap.MAP_PRIVATE}, **SMALL),
    case("2 reserve 64 GiB shared", "memory.reserve", "violation", spec={"flags": mmap.MAP_SHARED}, **SMALL),
    case(
        "2 reserve 64 GiB without access",
        "memory.reserve",
        "memory",
        spec={"flags": mmap.MAP_PRIVATE, "prot": 0},
        **SMALL,
    ),
    case("3 shared anonymous mapping", "memory.shared", "violation", **SMALL),
    case("3 shared memory of which a page stays mapped", "memory.hidden", "violation", **SMALL),
    case("3 shared memory of the device of zeros", "memory.zeros", "violation", **SMALL),
    case("3 fill /tmp", "memory.temporary_files", "limit", spec={"where": "/tmp"}, **SMALL),
    case("3 fill /dev/shm", "memory.temporary_files", "limit", spec={"where": "/dev/shm"}, **SMALL),
    case(
        "3 fill /tmp without a name",
        "memory.temporary_files",
        "limit",
        spec={"where": "/tmp", "unnamed": True},
        **SMALL,
    ),
    case("3 fill a mapped file", "memory.mapped_files", "memory", **SMALL),
    case("3 the same behind an ended main thread", "memory.without_main_thread", "memory", **SMALL),
    case("3 fill pipes", "memory.pipes", "limit", **SMALL),
    case("3 fill sockets", "memory.sockets", "limit", **SMALL),
    case("3 sockets inside sockets", "memory.sockets_in_sockets", "violation", **SMALL),
    case("4 System V and other shared memory", "memory.kernel_objects", "ok", refused=True),
    case("4 POSIX shared memory of the library", "memory.named_segment", "violation"),
    case("4 POSIX shared memory that stays", "memory.segment_that_stays", "crash", signal=9),
    case("5 spread over processes", "spread", "memory", spec={"detached": False}, says="over its memory", **SMALL),
    case(
        "5 spread over detached processes", "spread", "memory", spec={"detached": True}, says="over its memory", **SMALL
    ),
    case("6 a spec that is nested deep", "noop", "invalid", spec='{"a": ' + "[" * 3000 + "]" * 3000 + "}"),
    case("6 deep recursion", "memory.deep_python", "render_error"),
    case(
        "6 deep recursion without limit",
        "memory.deep_without_limit",
        "memory|crash|render_error",
        **SMALL | {"timeout": "60 s"},
    ),
    case("6 deep native recursion", "memory.deep_native", "crash|memory|render_error", memory_mb=256, timeout="60 s"),
    case(
        "7 image header of gigabytes",
        "svg",
        "invalid",
        spec={"svg": SVG.format(f'<image href="{_png(60000, 60000)}"/>')},
    ),
    case(
        "7 image header of gigabytes in a scene",
        "scene",
        "invalid",
        spec={"objects": [{"type": "image", "src": _png(60000, 60000), "width": 5, "height": 5}]},
    ),
    case("8 a billion frames", "scene", "invalid", spec=SCENE | {"duration": 1e9}, says="duration"),
    case(
        "8 100,000 pixels",
        "scene",
        "invalid",
        spec=SCENE,
        config='{"width": 100000, "height": 100000}',
        says="config.width",
    ),
    case(
        "8 100,000 pixels of SVG",
        "svg",
        "invalid",
        spec={"svg": SVG.format("")},
        config='{"width": 100000}',
        says="config.width",
    ),
    case("8 a frame rate of a million", "scene", "invalid", spec=SCENE, config='{"fps": 1000000}', says="config.fps"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_memory(case: Case, aftermath: Aftermath) -> None:
    """It is recorded as what it is."""
    check(case, aftermath.hostile[case.id])
