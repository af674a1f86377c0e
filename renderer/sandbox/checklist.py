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

from renderer.sandbox import FILES, PROCESSES, LayerMissing, SandboxMode, nest, proofs, steps
from renderer.sandbox.steps import Birth


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. `layer` is a name for operators where the step may be missing on a machine.

    `proof` tries what the layer forbids, and returns what was possible (renderer.sandbox.proofs).
    """

    run: Callable[[Birth], None]
    reason: str
    layer: str | None = None
    proof: Callable[[Birth], str | None] | None = None


CHECKLIST: tuple[Step, ...] = (
    Step(steps.die_with_parent, "a child must not outlive the supervisor"),
    Step(steps.own_session, "one kill must reach all that a job forked"),
    Step(steps.default_signals, "the fork server's handlers are not the child's"),
    Step(steps.only_given_descriptors, "what is not open cannot be read"),
    Step(steps.no_directory, "where the service was started is no job's affair"),
    Step(steps.measure, "a job's memory counts from what was mapped before it"),
    Step(steps.polite, "when a machine runs short, a render can be repeated and the database cannot"),
    Step(
        steps.own_processes,
        "a job must not see or signal another, nor leave anything running",
        layer=PROCESSES,
        proof=proofs.no_other_process,
    ),
    Step(
        steps.own_namespaces,
        "a job needs no network and no shared memory",
        layer="network and ipc namespaces",
        proof=proofs.no_network,
    ),
    Step(
        steps.own_files,
        "a file that is not there cannot be read, and none must stay",
        layer=FILES,
        proof=proofs.no_other_file,
    ),
    Step(steps.own_user, "root's files are root's, in a namespace too", layer="own user", proof=proofs.no_root),
    Step(
        steps.limited_processes,
        "a fork bomb takes the machine from everybody",
        layer="limited processes",
        proof=proofs.no_bomb,
    ),
    Step(steps.fixed_limits, "a crash must not write the memory of a job to disk"),
    Step(
        steps.no_capabilities, "root in a namespace is still root in it", layer="no capabilities", proof=proofs.no_power
    ),
    Step(
        steps.not_dumpable,
        "what runs beside a child must not read its memory",
        layer="not dumpable",
        proof=proofs.no_look_inside,
    ),
    Step(
        steps.no_new_privileges, "set-user-id programs are a way out", layer="no new privileges", proof=proofs.no_gain
    ),
    Step(
        steps.only_shown_files,
        "one mechanism may have a hole where the other has none",
        layer="Landlock",
        proof=proofs.no_unshown_file,
    ),
    Step(
        steps.only_listed_calls,
        "most holes of a kernel lie in calls that no render makes",
        layer="seccomp",
        proof=proofs.no_other_call,
    ),
)


def enter(birth: Birth) -> tuple[dict[str, str], dict[str, str | None]]:
    """Walk down the checklist.

    Return layer → "ok", "off" or why it is missing; and, for a birth that proves, layer → what it did not forbid.
    Raises LayerMissing in the mode `required`, OSError when a step fails that is not a layer.
    """
    layers: dict[str, str] = {}
    proved: dict[str, str | None] = {}
    for step in CHECKLIST:
        if step.layer is None:
            step.run(birth)
        elif birth.mode is SandboxMode.OFF:
            layers[step.layer] = nest.OFF
        else:
            layers[step.layer] = _enter_layer(step, birth)
            if birth.prove and step.proof is not None and layers[step.layer] == nest.OK:
                proved[step.layer] = step.proof(birth)
    return layers, proved


def _enter_layer(step: Step, birth: Birth) -> str:
    """Return "ok", or why the layer is missing. Raises LayerMissing in the mode `required`."""
    try:
        step.run(birth)
    except OSError as error:
        if birth.mode is SandboxMode.REQUIRED:
            raise LayerMissing(f"{step.layer}: {error}") from error
        return str(error)
    return nest.OK
