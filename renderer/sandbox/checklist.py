"""What a child goes through between its fork and its first job, in order.

Each step either works or raises OSError. A step that is a *layer* may be missing on a machine (a kernel without it, a
container that forbids it): the mode says what happens then. Any other step that fails ends the child: that is our fault,
`internal`, and never charged to a job.

The order is not free:

 1. `die_with_parent` first: until it is done, a child may outlive the fork server.
 2. `own_session` before anything can fork: the kill goes to the process group.
 3. `only_given_descriptors` before any layer: a layer that fails must not leave a descriptor behind.
 4. `measure` and `polite` need /proc, and come before a file system of its own may take it away.
 5. `own_namespaces` and `own_files` while the process has the power over the fork server's namespaces; `own_user`
    takes that away; `limited_processes`, a user namespace, needs no power, and must come before the limit it is for.
 6. `not_dumpable` after the last write to /proc/self: its files belong to root once a process is not dumpable.
 7. `no_capabilities` after the last new user namespace: each comes with all capabilities in it.
 8. `no_new_privileges` before Landlock and seccomp, which ask for it; seccomp last, since it forbids what the steps
    before it do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from renderer.sandbox import LayerMissing, SandboxMode, nest, steps
from renderer.sandbox.steps import Birth


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. `layer` is a name for operators where the step may be missing on a machine."""

    run: Callable[[Birth], None]
    reason: str
    layer: str | None = None


CHECKLIST: tuple[Step, ...] = (
    Step(steps.die_with_parent, "a child must not outlive the supervisor"),
    Step(steps.own_session, "one kill must reach all that a job forked"),
    Step(steps.default_signals, "the fork server's handlers are not the child's"),
    Step(steps.only_given_descriptors, "what is not open cannot be read"),
    Step(steps.scrubbed_environment, "a secret that is not there cannot leak"),
    Step(steps.measure, "a job's memory counts from what was mapped before it"),
    Step(steps.polite, "when a machine runs short, a render can be repeated and the database cannot"),
    Step(steps.own_processes, "a job must not see or signal another, nor leave anything running", layer=nest.PROCESSES),
    Step(steps.own_namespaces, "a job needs no network and no shared memory", layer="network and ipc namespaces"),
    Step(steps.own_files, "a file that is not there cannot be read, and none must stay", layer=nest.FILES),
    Step(steps.own_user, "root's files are root's, in a namespace too", layer="own user"),
    Step(steps.limited_processes, "a fork bomb takes the machine from everybody", layer="limited processes"),
    Step(steps.fixed_limits, "a crash must not write the memory of a job to disk"),
    Step(steps.no_capabilities, "root in a namespace is still root in it", layer="no capabilities"),
    Step(steps.not_dumpable, "what runs beside a child must not read its memory", layer="not dumpable"),
    Step(steps.no_new_privileges, "set-user-id programs are a way out", layer="no new privileges"),
)


def enter(birth: Birth) -> dict[str, str]:
    """Walk down the checklist; return layer → "ok", "off" or why it is missing.

    Raises LayerMissing in the mode `required`, OSError when a step fails that is not a layer.
    """
    layers: dict[str, str] = {}
    for step in CHECKLIST:
        if step.layer is None:
            step.run(birth)
        elif birth.mode is SandboxMode.OFF:
            layers[step.layer] = nest.OFF
        else:
            try:
                step.run(birth)
                layers[step.layer] = nest.OK
            except OSError as error:
                layers[step.layer] = str(error)
                if birth.mode is SandboxMode.REQUIRED:
                    raise LayerMissing(f"{step.layer}: {error}") from error
    return layers
