"""The command that enqueues."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Annotated, Any

import typer

from supervisor.cli.options import pairs, parse_json, read_json
from supervisor.errors import ConfigurationError
from supervisor.plain_text import escaped
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
            print(escaped(row["output_url"]))  # noqa: T201
        return
    status = row["status"] if row else "gone"
    reason = f": {row['failure']}: {row['error']}" if row and row["failure"] else ""
    print(escaped(f"{status}{reason}", lines=True), file=sys.stderr)  # noqa: T201
    raise typer.Exit(1)
