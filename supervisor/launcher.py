"""Starts the command, once it is sure whose `supervisor` it would start.

supervisord, the process manager, installs a package named `supervisor` too. Where both are installed, its files overwrite
ours or the other way round, and the directories are mixed; where it comes first on the path, ours is never seen. Either
ends in an ImportError deep in some module. So this is installed as a top-level module of its own, `jobsupervisor`, that
imports nothing of ours before it has looked.
"""

import importlib.util
import sys
from collections.abc import Callable

PROJECT = "jobsupervisor"
WRONG_USAGE = 2


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
