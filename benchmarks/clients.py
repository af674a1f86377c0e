"""Many clients at once, in processes of their own, so that one interpreter's lock is not what is measured."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe

from benchmarks.driver import connect

PROCESSES = 4
Parameters = Callable[[], list[object]]


def hammer(url: str, statement: str, parameters: Parameters, clients: int, each: int) -> float:
    """Have so many clients run a statement so many times each; return statements a second, over all.

    `parameters` is called for each statement: a function of a module, as it goes to other processes.
    """
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    for number in range(min(PROCESSES, clients)):
        threads = len(range(number, clients, PROCESSES))
        ours, theirs = context.Pipe()
        process = context.Process(target=_process, args=(theirs, url, statement, parameters, threads, each))
        process.start()
        theirs.close()
        processes.append(process)
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    started = time.monotonic()
    for pipe in pipes:
        pipe.send("go")
    for pipe in pipes:
        pipe.recv()
    taken = time.monotonic() - started
    for process in processes:
        process.join()
    return clients * each / taken


def _process(pipe: Pipe, url: str, statement: str, parameters: Parameters, threads: int, each: int) -> None:
    """Connect, say so, wait for the word, run, say so."""
    gate = threading.Barrier(threads + 1)
    workers = [threading.Thread(target=_client, args=(gate, url, statement, parameters, each)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    pipe.send("ready")
    pipe.recv()
    gate.wait()
    for worker in workers:
        worker.join()
    pipe.send("done")


def _client(gate: threading.Barrier, url: str, statement: str, parameters: Parameters, each: int) -> None:
    with connect(url) as connection:
        connection.execute(statement.encode(), parameters())
        gate.wait()
        gate.wait()
        for _ in range(each):
            connection.execute(statement.encode(), parameters())
