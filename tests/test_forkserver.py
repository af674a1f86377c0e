"""A fork server that does not do its work: it is noticed, ended and replaced, and nobody is charged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor import forkserver
from supervisor.forkserver import ForkServerFailed
from tests.pools import OneChild, with_pool


def silent(pool: OneChild) -> psutil.Process:
    """Stop the fork server of a pool; return it."""
    process = fork_server(pool)
    process.suspend()
    return process


def descriptors(number: int) -> set[str]:
    """Return what a process has open."""
    return {str(path.readlink()) for path in Path(f"/proc/{number}/fd").iterdir()}


def first_free(number: int) -> int:
    """Return the lowest number that a process's next descriptor can have: the limit counts numbers, not descriptors."""
    taken = {int(path.name) for path in Path(f"/proc/{number}/fd").iterdir()}
    return min(set(range(len(taken) + 1)) - taken)


def fork_server(pool: OneChild) -> psutil.Process:
    """Return the fork server of a pool."""
    assert pool.nursery.alive
    return psutil.Process(pool.nursery.forkserver_pid)


async def until(condition: Callable[[], bool], changed: asyncio.Event) -> None:
    """Wait until a condition holds that the pool's news bring about."""
    while not condition():
        changed.clear()
        await asyncio.wait_for(changed.wait(), 60)


def in_a_pool(monkeypatch: pytest.MonkeyPatch, work: Callable[[OneChild], Awaitable[None]]) -> None:
    """Run with a pool that gives a fork server a second for an answer."""
    monkeypatch.setattr(forkserver, "_ANSWER_SECONDS", 1.0)
    with_pool(SandboxMode.BEST_EFFORT, work)


def test_one_that_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a child while it is stopped, it is killed, another is started, and children come from that one."""

    async def work(pool: OneChild) -> None:
        stopped = silent(pool)
        with pytest.raises(ForkServerFailed, match="did not answer"):
            await pool.nursery.make()
        await until(lambda: pool.free == 1 and pool.nursery.forkserver_pid not in {0, stopped.pid}, pool.freed)
        assert not stopped.is_running()
        child = await pool.taken("noop")
        assert child.alive
        pool.give_back(child, "noop", Outcome.OK)

    in_a_pool(monkeypatch, work)


def test_one_that_does_not_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child ends while the fork server is stopped: nobody hears how, so the fork server is replaced with its children."""

    async def work(pool: OneChild) -> None:
        child = await pool.taken("noop")
        stopped = silent(pool)
        child.process.kill()
        status = await asyncio.wait_for(child.process.exited, 60)
        assert not status.known
        pool.give_back(child, "noop", Outcome.INTERNAL)
        await until(lambda: pool.free == 1 and pool.nursery.forkserver_pid not in {0, stopped.pid}, pool.freed)

    in_a_pool(monkeypatch, work)


def test_one_that_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child ended and its number went to another: the time for the report of the first is not held against the second."""

    async def work(pool: OneChild) -> None:
        process = fork_server(pool)
        for _ in range(3):
            child = await pool.taken("noop")
            child.process.kill()
            await child.process.exited
            pool.give_back(child, "noop", Outcome.INTERNAL)
        await asyncio.sleep(3)  # three times what a report may take: nothing may happen then
        assert fork_server(pool) == process

    in_a_pool(monkeypatch, work)


def test_a_pool_can_be_closed_while_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for a fork server that says nothing for ever; nothing is left."""
    stopped: list[psutil.Process] = []

    async def work(pool: OneChild) -> None:
        await asyncio.sleep(0)
        stopped.append(silent(pool))

    in_a_pool(monkeypatch, work)
    assert not stopped[0].is_running()


async def spare(pool: OneChild) -> psutil.Process:
    """Return the child that waits for a request, in its sandbox already."""
    await pool.prove()  # when this is answered, so was what came before
    children = fork_server(pool).children()
    (found,) = (child for child in children if "".join(child.cmdline()).strip() == "jobsupervisor: child [spare]")
    return found


def test_a_spare_is_kept() -> None:
    """The next one that is asked for is there already, and another is forked in its place."""

    async def work(pool: OneChild) -> None:
        await until(lambda: pool.idle_children == 1, pool.freed)
        waiting = await spare(pool)
        child = await pool.nursery.make()
        assert child.process.pid == waiting.pid
        assert await spare(pool) != waiting
        await pool.nursery.bury(child)

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_the_spare_dies() -> None:
    """Whoever asks for a child gets one that is forked then; the dead one is reaped and replaced."""

    async def work(pool: OneChild) -> None:
        await until(lambda: pool.idle_children == 1, pool.freed)
        waiting = await spare(pool)
        server = fork_server(pool)
        server.suspend()  # so that it has not seen the end when it is asked
        end = os.pidfd_open(waiting.pid)
        waiting.kill()
        await asyncio.to_thread(select.select, [end], [], [])
        os.close(end)
        asked = asyncio.ensure_future(pool.nursery.make())
        await asyncio.sleep(0)
        server.resume()
        child = await asked
        assert child.alive
        await pool.nursery.bury(child)
        assert await spare(pool) != waiting
        assert not waiting.is_running()
        assert server == fork_server(pool)

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_one_that_cannot_fork_now() -> None:
    """Short of descriptors it refuses, with the reason, lives on, and forks again once there are some."""

    async def work(pool: OneChild) -> None:
        process = fork_server(pool)
        await until(lambda: pool.idle_children == 1, pool.freed)
        await spare(pool)
        taken = process.num_fds()
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (first_free(process.pid), before[1]))
        with pytest.raises(ForkServerFailed, match="could not be forked: "):
            await pool.nursery.make()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        child = await pool.nursery.make()
        assert child.alive
        await pool.nursery.bury(child)
        assert fork_server(pool) == process
        assert process.num_fds() == taken
        assert pool.idle_children == 1

    with_pool(SandboxMode.BEST_EFFORT, work)


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process have so many descriptors more."""
    # The look itself takes a number, which is free again after it.
    free = sorted(set(range(4096)) - {int(path.name) for path in Path("/proc/self/fd").iterdir()})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[count - 1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", range(1, 6))
def test_the_supervisor_has_no_descriptors_left(left: int) -> None:
    """None for the sockets, none for the child's own that comes back: it is said, and the next child comes when there are some.

    The one that came back was lost on the way (MSG_CTRUNC), and whoever asked waited until the fork server was killed for it.
    """

    async def work(pool: OneChild) -> None:
        process = fork_server(pool)
        await until(lambda: pool.idle_children == 1, pool.freed)
        await spare(pool)
        with descriptors_left(left), pytest.raises(ForkServerFailed, match=r"descriptors left|Too many open files"):
            await asyncio.wait_for(pool.nursery.make(), 5)
        child = await pool.nursery.make()
        assert child.alive
        await pool.nursery.bury(child)
        assert fork_server(pool) == process

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_too_many_descriptors_under_way() -> None:
    """The kernel takes none from its user: it says so, keeps its spare, and serves the next request when there is room."""

    async def work(pool: OneChild) -> None:
        process = fork_server(pool)
        await until(lambda: pool.idle_children == 1, pool.freed)
        waiting = await spare(pool)
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        near, far = socket.socketpair()
        with near, far:
            socket.send_fds(near, [b"x"], [0] * 200)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, before[1]))
            with pytest.raises(ForkServerFailed, match="Too many references"):
                await pool.nursery.make()
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        child = await pool.nursery.make()
        assert child.process.pid == waiting.pid
        await pool.nursery.bury(child)
        assert fork_server(pool) == process

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_it_holds_no_descriptor_of_ours(tmp_path: Path) -> None:
    """Neither it nor the process around it has anything open but its socket, pidfds, its namespace and the null device."""
    own_error = str(Path("/proc/self/fd/2").readlink())
    with (tmp_path / "ours").open("w"):

        async def work(pool: OneChild) -> None:
            process = fork_server(pool)
            outer = process.parent()
            assert outer is not None
            for each in (process, outer):
                # Standard error is ours, whatever it is.
                found = {name.split(":")[0] for name in descriptors(each.pid) - {own_error}}
                # A pipe tells whether the process around it lives.
                assert found <= {"socket", "pipe", "anon_inode", "pid", "/dev/null"}, found

        with_pool(SandboxMode.BEST_EFFORT, work)
