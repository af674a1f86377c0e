"""The command `jobsupervisor`.

Each command is a function with an example in its help; `main` turns expected errors into one line and an exit code.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from supervisor import __version__
from supervisor.child import ChildFailed
from supervisor.cli import artifacts, dead_letters, jobs, local, service, status, top
from supervisor.errors import ExpectedError

app = typer.Typer(
    name="jobsupervisor",
    help="Render jobs from PostgreSQL in sandboxed child processes with memory and time limits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(value: bool) -> None:  # noqa: FBT001 - as typer calls it
    if value:
        print(f"jobsupervisor {__version__}")  # noqa: T201 - the version is the output
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Take what may stand before a command."""


for command in (
    local.demo,
    local.render,
    service.migrate,
    service.run,
    jobs.enqueue,
    status.status,
    top.top,
    service.doctor,
):
    app.command()(command)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(artifacts.app, name="artifacts")


def main() -> int:
    """Run the command line; return the exit code (0 done, 1 failed, 2 wrong usage or configuration)."""
    try:
        app(standalone_mode=True)
    except ExpectedError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the message is for whoever called the command
        return error.exit_code
    except ChildFailed as error:
        hint = "`jobsupervisor doctor` says what this machine lacks and what to do about it"
        print(f"no child comes up: {error}; {hint}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return 130
    return 0
