"""Commands of the dead-letter table: list, show, redrive, purge."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from supervisor.cli.options import age, job_id
from supervisor.cli.tables import one_line, print_table
from supervisor.errors import ConfigurationError, ExpectedError
from supervisor.settings import load
from supervisor.store.calls import MOST_LISTED, MOST_REDRIVEN
from supervisor.store.client import Client

app = typer.Typer(help="Work the dead-letter table.", no_args_is_help=True)

Kind = Annotated[str | None, typer.Option(help="Only this kind.")]
Failure = Annotated[str | None, typer.Option(help="Only this failure, such as timeout or memory.")]


@app.command("list")
def list_(
    *,
    kind: Kind = None,
    failure: Failure = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="At most so many, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a list.")] = False,
) -> None:
    """List dead letters, newest first.

    Example: `jobsupervisor dead-letters list --failure memory`
    """
    with Client.connect(load().require_database()) as client:
        rows = client.dead_letters(kind, failure, limit)
    if as_json:
        print(json.dumps(rows, default=str, indent=2))  # noqa: T201 - the list is the output
        return
    if not rows:
        print("no dead letters")  # noqa: T201
        return
    print_table(
        ("id", "kind", "failure", "attempts", "died", "error"),
        [
            (
                str(row["id"]),
                row["kind"],
                row["failure"],
                str(row["attempts"]),
                row["died_at"].strftime("%Y-%m-%d %H:%M:%S"),
                one_line((row["error"] or "").partition("\n")[0]),
            )
            for row in rows
        ],
        free=1,
    )


@app.command()
def show(identity: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one dead letter with its spec and all of its attempts, as JSON.

    Example: `jobsupervisor dead-letters show 0190a1b2-…`
    """
    wanted = job_id(identity)
    with Client.connect(load().require_database()) as client:
        found = client.dead_letter(wanted)
        if found is None:
            raise ExpectedError(f"ID must be that of a dead letter, got {identity}; `dead-letters list` lists them")
        print(json.dumps(found, default=str, indent=2))  # noqa: T201


@app.command()
def redrive(
    identity: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    *,
    kind: Kind = None,
    failure: Failure = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, up to the limit.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MOST_REDRIVEN, help="At most so many, oldest first.")] = 100,
) -> None:
    """Put one dead letter back into the queue, or those of a kind or failure.

    Example: `jobsupervisor dead-letters redrive --kind scene --limit 20`
    """
    if identity is None and not (kind or failure or every):
        raise ConfigurationError("redrive must be told what: an ID, --kind, --failure, or --all")
    if identity is not None and (kind or failure or every):
        raise ConfigurationError(
            "redrive must be told either an ID, or which ones by --kind, --failure or --all, not both"
        )
    wanted = job_id(identity) if identity else None
    with Client.connect(load().require_database()) as client:
        done = [client.redrive(wanted)] if wanted else client.redrive_many(kind, failure, limit)
    print("\n".join(done) if done else "no dead letters")  # noqa: T201


@app.command()
def purge(*, older_than: Annotated[str, typer.Option(metavar="AGE", help="Such as 12h or 30d; 0s for all.")]) -> None:
    """Delete dead letters for good, with their attempts.

    Example: `jobsupervisor dead-letters purge --older-than 30d`
    """
    seconds = age(older_than)
    with Client.connect(load().require_database()) as client:
        print(f"purged {client.purge(seconds)}")  # noqa: T201
