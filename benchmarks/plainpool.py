"""The same renderers in a plain pool of processes: no queue, no sandbox, no database, no limits."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inputs import Work


def run(work: Sequence[Work], parent: str) -> float:
    """Render all of it into files in a new directory, on all processors; return the seconds, without the pool's start.

    The files stay: a file system that has just deleted many may be slow to make new ones, and that is not to meet who comes next.
    """
    directory = tempfile.mkdtemp(dir=parent)
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0)), initializer=warm) as pool:
        pool.map(nothing, range(64), chunksize=1)
        started = time.perf_counter()
        jobs = [(each, Path(directory) / str(number)) for number, each in enumerate(work)]
        for _ in pool.imap_unordered(render, jobs, chunksize=1):
            pass
        return time.perf_counter() - started


def warm() -> None:
    """Import the renderers, as the fork server does before it forks."""
    from renderer.kinds import scene, svg

    _ = scene, svg


def nothing(number: int) -> int:
    """Prove that a process of the pool is there."""
    return number


def render(job: tuple[Work, Path]) -> None:
    """Render one file."""
    from renderer import Output
    from renderer.kinds import scene, svg

    work, path = job
    with path.open("w+b") as file:
        out = Output(file.fileno())
        if work.kind == "svg":
            svg.render(svg.SvgSpec.model_validate(work.spec), svg.SvgConfig.model_validate(work.config), out)
        else:
            scene.render(scene.SceneSpec.model_validate(work.spec), scene.SceneConfig.model_validate(work.config), out)
        out.close()
