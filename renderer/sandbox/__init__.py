"""What a child gives up before it reads its first job.

Theory of operation. Three processes stand between the supervisor and a job:

    supervisor ── exec ──► outer ── fork ──► fork server ── fork ──► child
                                            pid 1 of a namespace     pid 1 of a namespace of its own

The *outer* process imports the kinds, then opens a user and a process namespace and forks the fork server into it; from
then on it only waits, and passes the fork server's end on. The fork server builds the file system that children see, once,
and enters it (renderer.sandbox.nest, renderer.sandbox.jail). Each child gets a process namespace of its own and walks down
CHECKLIST (renderer.sandbox.checklist) before its first job. Nothing of a stranger's has run in any of them by then.

What follows from the nesting. A kill of the child ends everything that it forked, whatever session or group that is in: the
kernel ends a process namespace with its first process. The same holds for the fork server and all of its children; and it
ends when the outer process does, that one when the supervisor does (PR_SET_PDEATHSIG, which reaches a namespace's first
process too when it comes from outside). A child sees neither its siblings nor the fork server, so it cannot signal them.

Where the machine refuses the outer namespaces there is no outer process: the fork server is what the supervisor started, a
subreaper, and the layers that need namespaces are reported as missing.
"""

from __future__ import annotations

from enum import StrEnum

PROCESSES = "user and process namespaces"
FILES = "own file system"
"""Names of the two layers that the fork server makes."""

JOB_SOCKET = 3
"""The one descriptor besides 0, 1 and 2 that a child keeps."""

OPEN_FILES = 64
"""Descriptors that a child may have: its own few, and what a renderer opens."""

PENDING_SIGNALS = 256
"""Signals that may wait for a child at once."""

_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "TZ": "UTC",
    # One thread per library: a child forks from a process without threads, and N children share the processors.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
}


class SandboxMode(StrEnum):
    """The setting RENDER_SANDBOX."""

    REQUIRED = "required"
    BEST_EFFORT = "best-effort"
    OFF = "off"


class ForbiddenCalls(StrEnum):
    """The setting RENDER_FORBIDDEN_CALLS: what a system call that is not allowed comes to."""

    REFUSE = "refuse"
    """It fails with EPERM, and the renderer goes on. Libraries that try a call and can do without it stay usable."""
    KILL = "kill"
    """The process ends with SIGSYS: whoever tried is stopped there, and it is on record."""


class LayerMissing(Exception):  # noqa: N818 - it names a state of the machine, not a fault
    """A layer that the mode `required` asks for cannot be had here."""


def environment() -> dict[str, str]:
    """Return the whole environment of the fork server and its children: no setting, no secret, nothing inherited."""
    return dict(_ENVIRONMENT)
