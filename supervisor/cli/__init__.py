"""The command `jobsupervisor`.

Each command is a function with an example in its help; `main` turns expected errors into one line and an exit code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Annotated

import typer

from supervisor import __version__
from supervisor.child import ChildFailed
from supervisor.cli import artifacts, dead_letters, jobs, local, service, status, top
from supervisor.errors import ExpectedError
from supervisor.plain_text import escaped

app = typer.Typer(
    name="jobsupervisor",
    help="Render jobs from PostgreSQL in sandboxed child processes with memory and time limits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


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
        code = _main()
        sys.stdout.flush()
    except BrokenPipeError:
        _say_no_more()  # `status | head` has seen enough
        return 1
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _say_no_more()
        with contextlib.suppress(OSError):
            print(f"the output could not be written: {error.strerror}", file=sys.stderr)  # noqa: T201 - as below
        return 1
    return code


def _say_no_more() -> None:
    """Have what is left of the output go nowhere: Python would complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _main() -> int:
    try:
        app(standalone_mode=True)
    except ExpectedError as error:
        print(escaped(str(error), lines=True), file=sys.stderr)  # noqa: T201 - the message is for whoever called the command
        return error.exit_code
    except ChildFailed as error:
        hint = "`jobsupervisor doctor` says what this machine lacks and what to do about it"
        print(escaped(f"no child comes up: {error}; {hint}", lines=True), file=sys.stderr)  # noqa: T201 - as above
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return 130
    return 0
