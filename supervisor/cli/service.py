"""Commands of the operator: migrate, run, doctor."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import signal
from typing import Annotated

import typer
from rich.text import Text

from supervisor import descriptors, log, notify, orphans, watchdog
from supervisor.cli.tables import one_line, print_table
from supervisor.core import Supervisor
from supervisor.doctor import examine
from supervisor.last_resort import LastResort
from supervisor.settings import Settings, load
from supervisor.stopping import AFTER_DRAIN_SECONDS
from supervisor.store import migrate as schema
from supervisor.store.kinds import register_plugins

_COLLECT_AFTER = 20_000
"""New objects until the collector looks for cycles; a claim of hundreds of jobs brings as many, and none of them in one."""

_COLOURS = {"ok": "green", "degraded": "yellow", "missing": "red"}


def migrate(
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 when the schema is behind.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print what would run, and change nothing.")] = False,
    public_schema: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where functions and views go (default: public).")
    ] = None,
) -> None:
    """Install or upgrade the schema in DATABASE_URL.

    Example: `jobsupervisor migrate --public-schema render`
    """
    settings = load()
    if sql and settings.database_url is None:
        print(schema.script(schema.nothing_applied(public_schema)), end="")  # noqa: T201 - the script is the output
        return
    url = settings.require_database()
    if check or sql:
        state = schema.schema_state(url, public_schema)
        if sql:
            print(schema.script(state), end="")  # noqa: T201
        else:
            behind = len(state.pending)
            print(f"{behind} migrations to apply" if behind else "the schema is up to date")  # noqa: T201
        if check and state.pending:
            raise typer.Exit(1)
        return
    state = schema.migrate(url, public_schema)
    register_plugins(url, settings.plugins)
    for migration in state.pending:
        print(f"applied {migration.version:04}_{migration.name}")  # noqa: T201
    if not state.pending:
        print("the schema is up to date")  # noqa: T201


def run() -> None:
    """Serve: claim jobs and render them, until SIGTERM. What the systemd unit starts.

    Example: `DATABASE_URL=postgresql://render@db/app jobsupervisor run`
    """
    log.never_wait()
    settings = load()
    log.configure(settings.log_level, settings.log_format)
    settings.require_database()
    descriptors.raise_limit()
    descriptors.require(settings.concurrency)
    # SIGABRT is how a service manager ends a service whose loop hangs: the log then says where.
    faulthandler.enable(log.descriptor())
    # Never closed: an end that was begun may hang until the last thread of the interpreter has ended.
    last_resort = LastResort(log.descriptor())
    last_resort.start()
    try:
        asyncio.run(_serve(settings, last_resort))
    except OSError as error:
        # Nothing of a command's output: a fault of ours, which is told with its traceback.
        raise RuntimeError(f"the service ended by an error of the machine's that nobody expected: {error}") from error


async def _serve(settings: Settings, last_resort: LastResort) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(descriptors.tell_shortage)
    log.drain_on(loop)
    supervisor = Supervisor(settings, on_end=last_resort.within)
    feeding: list[asyncio.Task[None]] = []

    def stop() -> None:
        supervisor.stop()
        notify.stopping(settings.shutdown)

    def ready() -> None:
        # What is here by now stays: the collector need not go through it again and again, for tens of milliseconds at a time.
        # What comes with a job goes by its reference counts.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        notify.ready()
        # The service manager begins to wait for it now.
        if (seconds := watchdog.interval()) is not None:
            feeding.append(asyncio.create_task(watchdog.feed(seconds, lambda: supervisor.makes_progress)))

    last_resort.waits_for = supervisor.waits_for
    last_resort.seconds = lambda: settings.shutdown + AFTER_DRAIN_SECONDS
    last_resort.stop_with(stop)
    orphans.reap_as_they_end(last_resort.hear)
    last_resort.hear(signal.SIGHUP, supervisor.reload)
    notify.status("starting")
    try:
        await supervisor.run(ready)
    finally:
        for task in feeding:
            task.cancel()


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="For programs: a list of checks.")] = False) -> None:
    """Say what this machine and database can enforce, and what to do about the rest. Exit 1 when something is missing.

    Example: `jobsupervisor doctor --json`
    """
    log.configure("error", "console")  # to standard error: the output is the checks
    checks = examine(load())
    if as_json:
        print(json.dumps([check.as_dict() for check in checks], indent=2))  # noqa: T201
    else:
        print_table(
            ("check", "state", "what was found", "what to do"),
            [
                (
                    check.name,
                    Text(check.state, _COLOURS[check.state]),
                    one_line(check.found),
                    one_line(check.advice or ""),
                )
                for check in checks
            ],
            free=2,
        )
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)
