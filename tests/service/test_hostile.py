"""Hostile jobs in all children at once, beside honest ones: what is recorded, and that nothing is left."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.service.support import PATIENCE, artifact, service_and_queue

ENDINGS: list[tuple[str, dict[str, object], dict[str, object], str]] = [
    ("heap", {"mb": 800}, {"memory_mb": 64}, "memory"),
    ("reserve", {"gb": 64}, {"memory_mb": 64}, "memory"),
    ("shared", {"mb": 400}, {"memory_mb": 64}, "memory"),
    ("sleep", {}, {"timeout": "0.3 s"}, "timeout"),
    ("stop_itself", {}, {"timeout": "0.3 s"}, "timeout"),
    ("hold_lock", {}, {"timeout": "0.3 s"}, "timeout"),
    ("signal_itself", {"number": int(signal.SIGXCPU)}, {}, "timeout"),
    ("signal_itself", {"number": int(signal.SIGABRT)}, {}, "crash"),
    ("signal_itself", {"number": int(signal.SIGSYS)}, {}, "violation"),
    ("null_pointer", {}, {}, "crash"),
    ("exit_quietly", {}, {}, "crash"),
    ("flood_output", {}, {}, "limit"),
    ("open_files", {}, {}, "limit"),
    ("raw_frame", {"hex": "ffffffff"}, {}, "protocol"),
    ("raw_frame", {"hex": "00000003585858"}, {}, "protocol"),
    ("raw_frame", {"hex": b'\0\0\0\x32{"type":"done","id":"another","attempt":1,"x":""}}'.hex()}, {}, "protocol"),
    ("raw_frame", {"hex": "00000064"}, {"timeout": "0.3 s"}, "timeout"),
    ("close_socket", {}, {}, "protocol"),
]


@pytest.mark.timeout(300)
def test_each_ending_is_recorded(database: str, tmp_path: Path) -> None:
    """Each hostile job ends with its outcome, an offence each time, in the dead letters; honest neighbours complete."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=4, RENDER_OUTPUT_LIMIT_MB=8) as (service, queue):
        jobs = [queue.enqueue(kind, spec, **limits) for kind, spec, limits, _ in ENDINGS]
        honest = [queue.enqueue("write", {"text": str(n)}) for n in range(20)]
        for job, (kind, spec, _, failure) in zip(jobs, ENDINGS, strict=True):
            row = queue.final(job)
            told = f"{kind} {spec}: {row['error']}"
            assert (row["status"], row["failure"], row["attempts"]) == ("failed", failure, 2), told
            assert queue.outcomes(job) == [failure, failure], told
            assert row["error"], told
        assert [artifact(queue.final(job)) for job in honest] == [str(n).encode() for n in range(20)]
        files = [path for path in service.artifacts.rglob("*") if path.is_file()]
        assert len(files) == len(honest)


def test_failures_that_are_no_offence(database: str, tmp_path: Path) -> None:
    """What raises is tried max_attempts times, what is invalid once; neither counts as an offence."""
    with service_and_queue(database, tmp_path) as (_, queue):
        cases = [
            ("fail", {"message": "a\0b"}, "render_error", 3),
            ("call_exit", {}, "render_error", 3),
            ("swallow", {}, "memory", 2),
            ("nothing", {}, "bad_output", 3),
            ("write", {"text": "x", "content_type": "../../etc"}, "bad_output", 3),
            ("write", {"text": "x", "content_type": "image/png"}, "bad_output", 3),
            ("invalid", {}, "invalid", 1),
            ("svg", {}, "invalid", 1),
        ]
        jobs = [
            queue.enqueue(kind, {k: v for k, v in spec.items() if "\0" not in str(v)}, max_attempts=3)
            for kind, spec, _, _ in cases
        ]
        for job, (kind, _, failure, attempts) in zip(jobs, cases, strict=True):
            row = queue.final(job)
            assert (kind, row["failure"], row["attempts"]) == (kind, failure, attempts), row["error"]


def test_flooded_log_neither_blocks_nor_fills(database: str, tmp_path: Path) -> None:
    """64 MB on standard output and error are read and dropped; the job completes."""
    with service_and_queue(database, tmp_path) as (service, queue):
        assert artifact(queue.final(queue.enqueue("flood_log", {}))) == b"dry again"
        assert service.log.stat().st_size < 1_000_000


def test_published_bytes_are_the_checked_ones(database: str, tmp_path: Path) -> None:
    """A child that writes on after its answer changes nothing that is published: the hash is of the file's bytes."""
    with service_and_queue(database, tmp_path) as (_, queue):
        for _ in range(5):
            content = artifact(queue.final(queue.enqueue("late_write", {})))
            assert len(content) == 7


def test_escaped_process_is_dead_at_job_end(database: str, tmp_path: Path) -> None:
    """A process that left its child's session is gone when the job is."""
    with service_and_queue(database, tmp_path) as (service, queue):
        job = queue.enqueue("escape", {})
        assert int(artifact(queue.final(job))) > 1
        left = [process for process in service.processes() if job in " ".join(process.cmdline())]
        _, alive = psutil.wait_procs(left, timeout=PATIENCE)
        assert not alive


def test_state_left_behind_is_not_seen_by_the_next_job(database: str, tmp_path: Path) -> None:
    """Plug-ins get a process that ran nothing: no module attribute, no environment of an earlier job."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=1) as (_, queue):
        seen = {artifact(queue.final(queue.enqueue("state", {}))) for _ in range(4)}
        assert len(seen) == 1
        assert b"module" not in seen.pop()


def test_child_has_no_network(database: str, tmp_path: Path) -> None:
    """A port that is open on this machine's loopback cannot be reached from a child."""
    with service_and_queue(database, tmp_path) as (_, queue), socket.create_server(("127.0.0.1", 0)) as server:
        answer = artifact(queue.final(queue.enqueue("network", {"port": server.getsockname()[1]})))
        assert answer == b"PermissionError"


def test_child_environment_and_supervisor_title_hold_no_secret(database: str, tmp_path: Path) -> None:
    """Neither the environment of the fork server and children nor any command line has the database's URL."""
    with service_and_queue(database, tmp_path) as (service, queue):
        queue.final(queue.enqueue("write", {"text": "x"}))
        for process in service.processes():
            assert "DATABASE_URL" not in Path(f"/proc/{process.pid}/environ").read_bytes().decode()
            assert "postgresql" not in " ".join(process.cmdline())
            for file in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
                assert "psycopg" not in file
