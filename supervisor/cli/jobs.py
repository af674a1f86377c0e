"""Commands about jobs: enqueue, status."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from supervisor.cli.options import pairs, parse_json, read_json
from supervisor.cli.tables import print_table
from supervisor.errors import ConfigurationError
from supervisor.settings import load
from supervisor.store.client import Client

_MOST = 2**31 - 1
"""The largest integer of the database; PostgreSQL has no function enqueue_render for a larger one."""


def enqueue(  # noqa: PLR0913 - one parameter for each of enqueue_render
    kind: Annotated[str, typer.Argument(help="What to render: scene, svg, noop, or a plug-in's kind.")],
    spec: Annotated[str, typer.Argument(help="A JSON file, or - for standard input.")],
    *,
    config: Annotated[str | None, typer.Option(help="The config, as JSON text.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One value of the config, key=value.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result; exit 1 if it fails.")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key answers the same job.")] = None,
    priority: Annotated[int, typer.Option(min=-_MOST, max=_MOST, help="Higher first.")] = 0,
    run_at: Annotated[dt.datetime | None, typer.Option(help="Not before this time (UTC).")] = None,
    max_attempts: Annotated[int | None, typer.Option(max=_MOST, help="Attempts before the dead letters.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds of one attempt.")] = None,
    memory_mb: Annotated[int | None, typer.Option(max=_MOST, help="Memory of one attempt.")] = None,
    user_id: Annotated[str | None, typer.Option(help="The tenant.")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="Follows the job into every log line.")] = None,
) -> None:
    """Enqueue one job in DATABASE_URL and print its id.

    Example: `jobsupervisor enqueue scene scene.json --set format=gif --wait`
    """
    url = load().require_database()
    body = read_json(spec, "SPEC")
    base = parse_json(config, "--config") if config else {}
    if not isinstance(base, dict):
        raise ConfigurationError(f"--config must be a JSON object, got {config}")
    merged = base | pairs(settings or ())
    if run_at is not None and run_at.tzinfo is None:
        run_at = run_at.replace(tzinfo=dt.UTC)
    with Client.connect(url) as client:
        if wait:
            client.listen()
        job_id = client.enqueue(
            kind,
            body,
            merged,
            idempotency_key=idempotency_key,
            priority=priority,
            run_at=run_at,
            max_attempts=max_attempts,
            timeout=timeout,
            memory_mb=memory_mb,
            user_id=user_id,
            correlation_id=correlation_id,
        )
        print(job_id, flush=True)  # noqa: T201 - the id is the output
        if wait:
            _report(client.wait(job_id))


def _report(row: dict[str, Any] | None) -> None:
    """Print where the artifact is, or why there is none and exit 1."""
    if row is not None and row["status"] == "completed":
        if row["output_url"]:
            print(row["output_url"])  # noqa: T201
        return
    status = row["status"] if row else "gone"
    reason = f": {row['failure']}: {row['error']}" if row and row["failure"] else ""
    print(f"{status}{reason}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(1)


def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False) -> None:
    """Show the queue, its flow, the supervisors, and the children of those on this machine.

    Example: `jobsupervisor status --json`
    """
    with Client.connect(load().require_database()) as client:
        state = {
            "jobs": client.counts(),
            "flow": client.flow(),
            "supervisors": client.supervisors(),
        }
    state["children"] = _children(state["supervisors"])  # type: ignore[arg-type]
    if as_json:
        print(json.dumps(state, default=str, indent=2))  # noqa: T201
    else:
        _print_status(state)


def _children(supervisors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the children of supervisors on this machine, found by their process titles."""
    found = []
    for supervisor in supervisors:
        try:
            processes = psutil.Process(supervisor["pid"]).children(recursive=True)
        except psutil.Error:
            continue
        for process in processes:
            try:
                title = " ".join(process.cmdline())
                if title.startswith("jobsupervisor: child"):
                    found.append(
                        {
                            "supervisor": supervisor["name"],
                            "pid": process.pid,
                            "title": title.strip(),
                            "cpu_seconds": round(sum(process.cpu_times()[:2]), 2),
                            "memory_bytes": process.memory_info().rss,
                        }
                    )
            except psutil.Error:
                continue
    return found


def _print_status(state: dict[str, Any]) -> None:
    flow, jobs, supervisors = state["flow"], state["jobs"], state["supervisors"]
    if jobs:
        print_table(("status", "kind", "jobs"), [(row["status"], row["kind"], str(row["jobs"])) for row in jobs])
    else:
        _say("no jobs")
    waited = flow["oldest_runnable_seconds"]
    _say(
        f"completed: {flow['completed_last_minute']} in the last minute, {flow['completed_last_hour']} in the last hour; "
        f"delayed: {flow['delayed']}; oldest runnable: {'none' if waited is None else f'{waited:.1f} s'}"
    )
    if supervisors:
        print_table(
            ("supervisor", "host", "pid", "running", "children", "since"),
            [
                (
                    row["name"],
                    row["host"],
                    str(row["pid"]),
                    str(row["running"]),
                    str(row["concurrency"]),
                    row["started_at"].strftime("%Y-%m-%d %H:%M"),
                )
                for row in supervisors
            ],
        )
    else:
        _say("no supervisor is running")
    for child in state["children"]:
        _say(
            f"{child['title']}: {child['memory_bytes'] // 1048576} MB, {child['cpu_seconds']} s of processor time",
        )


def _say(text: str) -> None:
    Console().print(text, markup=False, emoji=False, soft_wrap=True)
