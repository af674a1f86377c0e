"""Starts the command, once it is sure whose `supervisor` it would start.

supervisord, the process manager, installs a package named `supervisor` too. Where both are installed, its files overwrite
ours or the other way round, and the directories are mixed; where it comes first on the path, ours is never seen. Either
ends in an ImportError deep in some module. So this is installed as a top-level module of its own, `jobsupervisor`, that
imports nothing of ours before it has looked.

It is also the first thing that can hear a signal. The kernel discards one that number 1 of a container has no handler for, and
imports take most of a second: who stops a container in that time would wait for its end until the engine kills it.
"""

import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

PROJECT = "jobsupervisor"
WRONG_USAGE = 2


def can_be_stopped() -> None:
    """Have SIGTERM end this process from now on, as it ends any other, until a command takes the signal for itself.

    The image has it blocked while Python starts (docs/containers/Dockerfile), so that it waits instead of being lost; whoever
    is number 1 there, an init perhaps, it must not stay blocked.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def has_streams() -> None:
    """Have standard input, output and error open, where whoever started this closed them.

    The next file that is opened would get their number: a log line would go into a connection to the database.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
            os.set_inheritable(number, True)  # noqa: FBT003 - the function's own signature
    # Python has None there; to print to it would be to print to standard output.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - open as long as the process is
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)  # as a shell tells the end by a signal


def shadowed_by() -> str | None:
    """Say what is in the way of our package, or return None where nothing is."""
    try:
        import supervisor
    except ImportError as error:
        return f"the package 'supervisor' cannot be imported ({error})"
    where = getattr(supervisor, "__file__", None) or ", ".join(getattr(supervisor, "__path__", ["an unknown place"]))
    if getattr(supervisor, "PROJECT", None) != PROJECT:
        return f"the package 'supervisor' at {where} is not ours (supervisord has that name too)"
    # Ours once, and then partly uninstalled along with theirs. A directory that is left over has a spec, but no origin.
    spec = importlib.util.find_spec("supervisor.cli")
    if spec is None or spec.origin is None:
        return f"the package 'supervisor' at {where} is incomplete: it has no module cli"
    return None


def main() -> int:
    """Run the command line, or say in one line why not."""
    can_be_stopped()
    has_streams()
    if reason := shadowed_by():
        print(  # noqa: T201 - there is no command line yet that could say it
            f"jobsupervisor: {reason}. Install jobsupervisor into a virtual environment of its own, "
            "or uninstall supervisor and reinstall jobsupervisor, or run from another directory",
            file=sys.stderr,
        )
        return WRONG_USAGE
    from supervisor.cli import main as command

    run: Callable[[], int | None] = command
    return run() or 0


if __name__ == "__main__":
    sys.exit(main())
