"""What honest renderers and plug-ins do, for test_seccomp and test_landlock: each function raises if it cannot."""

from __future__ import annotations

import asyncio
import concurrent.futures
import faulthandler
import gzip
import hashlib
import importlib
import json
import logging
import lzma
import mmap
import os
import random
import resource
import secrets
import select
import shutil
import signal
import socket
import sqlite3
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import uuid
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import setproctitle

from renderer import registry, samples, wire
from renderer.output import Output

KINDS = {name: registry.load(name, target) for name, target in registry.BUILT_IN.items()}

JOB_SOCKETS = socket.socketpair()
wire.send(JOB_SOCKETS[0], {"type": "job"}, [0])


def render(kind: str, config: dict[str, Any], directory: str | None = None) -> str:
    """Render the kind's sample as a child does, to a file in a directory; return the content type."""
    with tempfile.TemporaryFile(dir=directory) as file:
        return render_to(file.fileno(), kind, config)


def with_temporary_directory(directory: str, activity: str) -> None:
    """Do one of the others with its temporary files in this directory."""
    tempfile.tempdir = directory
    globals()[activity]()


def render_to(descriptor: int, kind: str, config: dict[str, Any]) -> str:
    """Render the kind's sample to a descriptor; return the content type. Fails if nothing was written."""
    declared = KINDS[kind].declared
    spec: Any = {"scene": samples.scene, "svg": samples.svg, "noop": dict}[kind]()
    spec = declared.spec.model_validate(spec) if declared.spec else spec
    settings: Any = declared.config.model_validate(config) if declared.config else config
    out = Output(descriptor)
    KINDS[kind].render(spec, settings, out)
    out.flush()
    assert (os.fstat(descriptor).st_size > 0) == declared.writes_output
    return out.content_type


def threads() -> None:
    """Start threads, with locks, queues and results."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(abs, range(-50, 0))) == list(range(1, 51))
    event = threading.Event()
    thread = threading.Thread(target=event.set)
    thread.start()
    assert event.wait(10)
    thread.join()


def event_loop() -> None:
    """Run an event loop with timers, threads, signals, a pipe and a deadline."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, called.set)
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.wait_for(called.wait(), 10)
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        left, right = socket.socketpair()
        with left, right:
            left.settimeout(0)
            await loop.sock_sendall(left, b"x")
            assert right.recv(1) == b"x"
        await asyncio.sleep(0.001)

    asyncio.run(work())


def files() -> None:
    """Make a tree of private files, copy it with its metadata, pack it, remove it."""
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory, "tree")
        tree.mkdir()
        (tree / "a").write_bytes(b"x" * 100_000)
        (tree / "b").symlink_to("a")
        (tree / "a").chmod(0o600)
        os.truncate(tree / "a", 50_000)
        shutil.copytree(tree, Path(directory, "copy"), symlinks=True)
        shutil.copy2(tree / "a", tree / "c")
        (tree / "c").replace(tree / "d")
        os.utime(tree / "d", (1, 1))
        with tarfile.open(Path(directory, "tar"), "w:gz") as packed:
            packed.add(tree, "tree")
        with tarfile.open(Path(directory, "tar")) as packed:
            # Python before 3.11.4 has no filters, and no argument for one; later ones warn where none is chosen.
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            packed.extractall(Path(directory, "out"))  # noqa: S202 - packed above
        assert sorted(path.name for path in Path(directory, "out/tree").iterdir()) == ["a", "b", "d"]
        assert shutil.disk_usage(directory).total > 0
        with tempfile.SpooledTemporaryFile(max_size=10) as spooled:
            spooled.write(b"x" * 100)


def database() -> None:
    """Keep tables in a private file, with locks and a write-ahead log."""
    with tempfile.TemporaryDirectory() as directory:
        connection = sqlite3.connect(Path(directory, "a.db"))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", ((n,) for n in range(1000)))
        connection.commit()
        assert connection.execute("SELECT sum(a) FROM t").fetchone() == (499_500,)
        connection.close()


def arrays() -> None:
    """Compute with arrays, large enough that the libraries take their own memory for it."""
    values = np.random.default_rng(1).random((500, 500))
    assert np.linalg.svd(values @ values)[1].shape == (500,)
    assert np.fft.fft2(values).shape == (500, 500)
    with tempfile.TemporaryDirectory() as directory:
        np.savez_compressed(Path(directory, "a.npz"), values=values)
        np.save(Path(directory, "a.npy"), values)
        assert np.load(Path(directory, "a.npy"), mmap_mode="r")[3, 3] == values[3, 3]


def codecs() -> None:
    """Pack, hash and write down."""
    data = json.dumps(list(range(10_000))).encode()
    assert zlib.decompress(zlib.compress(data)) == gzip.decompress(gzip.compress(data)) == data
    assert lzma.decompress(lzma.compress(data)) == data
    assert len(hashlib.sha256(data).digest() + hashlib.scrypt(b"p", salt=b"s", n=16, r=8, p=1)) == 96


def chance_and_time() -> None:
    """Draw random numbers, sleep, read clocks and time zones."""
    assert len({random.random(), random.SystemRandom().random(), secrets.token_hex(), uuid.uuid4()}) == 4  # noqa: S311
    start = time.monotonic()
    time.sleep(0.01)
    assert time.monotonic() - start > 0.009
    assert time.process_time() > 0 < time.thread_time()
    assert datetime.now(ZoneInfo("UTC")).year > 2000


def unique_by_time() -> None:
    """Make a uuid of time and network card: libc looks for the card by a socket, and does without."""
    assert uuid.uuid1() != uuid.uuid1()


def waiting() -> None:
    """Wait on pipes in each way there is."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert select.select([reader], [writer], [], 1)[:2] == ([reader], [writer])
    poll = select.poll()
    poll.register(reader)
    assert poll.poll(1000)
    with select.epoll() as epoll:
        epoll.register(reader)
        assert epoll.poll(1)
    os.set_blocking(reader, False)
    os.dup2(reader, writer + 1)
    os.close(writer + 1)
    counter = os.eventfd(1)
    assert os.eventfd_read(counter) == 1
    for descriptor in (reader, writer, counter):
        os.close(descriptor)


def memory() -> None:
    """Map memory of its own and of a file, executable memory included: what compiles at run time needs it."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 1 << 20, flags=private) as anonymous:
        anonymous.resize(1 << 21)
        anonymous.madvise(mmap.MADV_DONTNEED)
    with mmap.mmap(-1, 4096, flags=private, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
        code[:1] = b"\xc3"
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096) as mapped:
            mapped[:1] = b"x"
            mapped.flush()


def signals() -> None:
    """Set handlers and timers, and signal oneself."""
    heard = []
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda number, _: heard.append(number))
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    assert heard == [signal.SIGTERM, signal.SIGTERM, signal.SIGALRM]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.raise_signal(signal.SIGUSR1)
    assert signal.sigtimedwait({signal.SIGUSR1}, 1) is not None


def diagnostics() -> None:
    """Title the process, log, and have tracebacks written."""
    setproctitle.setproctitle("jobsupervisor: child 1 [test]")
    assert setproctitle.getproctitle() == "jobsupervisor: child 1 [test]"
    logging.getLogger(__name__).info("nothing")
    with tempfile.TemporaryFile() as file:
        faulthandler.enable(file)
        faulthandler.dump_traceback(file)
        faulthandler.dump_traceback_later(60, file=file)
        faulthandler.cancel_dump_traceback_later()
        assert file.tell() > 0
        faulthandler.disable()
    try:
        int("x")
    except ValueError:
        assert "ValueError" in traceback.format_exc()
    with Path(os.devnull).open(encoding="ascii") as null:
        assert not null.isatty()


def limits() -> None:
    """Ask for its limits and lower them, as the child does when a job arrives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 40), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    assert os.sched_getaffinity(0)
    assert os.cpu_count()
    assert os.nice(1) >= 1


def imports() -> None:
    """Load modules, native ones among them, that nothing has loaded before."""
    for name in ("_codecs_jp", "_lsprof", "wave", "xmlrpc.client"):
        assert name not in sys.modules
        importlib.import_module(name)


def job_socket() -> None:
    """Exchange frames as a child does with the supervisor; the descriptor was under way before the filter stood."""
    near, far = JOB_SOCKETS
    with near, far:
        received = wire.receive(far, 1000)
        assert received is not None
        assert len(received[1]) == 1
        wire.close_all(received[1])
        wire.send(far, {"type": "done", "text": "x" * 10_000})
        assert wire.receive(near, 100_000) is not None
        with socket.socket(fileno=os.dup(near.fileno())) as copy:
            assert (copy.family, copy.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
