"""The sandbox, seen from inside real children of a real fork server."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from renderer import sandbox
from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from renderer.sandbox.checklist import CHECKLIST
from supervisor.pool import Pool
from tests.pools import LIMITS, render, with_pool

CHECKOUT = Path(__file__).parents[1]
LAYERS = [step.layer for step in CHECKLIST if step.layer]
SECRET = "postgresql://u:hunter2@h/d"  # noqa: S105 - nobody's password
IPC_PRIVATE, IPC_RMID = 0, 0


def look_inside(mode: SandboxMode) -> dict[str, Any]:
    """Return the report of a child, with the state of each layer, while this process has things that it could reach."""
    libc = ctypes.CDLL(None)
    segment = libc.shmget(IPC_PRIVATE, 4096, 0o600)
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", SECRET)
        patch.setenv("LD_LIBRARY_PATH", "/nowhere")
        tcp.bind(("127.0.0.1", 0))
        name = f"jobsupervisor-test-{os.getpid()}"
        abstract.bind("\0" + name)
        tcp.listen()
        abstract.listen()
        spec = {"port": tcp.getsockname()[1], "abstract": name, "segment": segment}

        async def work(pool: Pool) -> dict[str, Any]:
            child, report = await render(pool, "report", spec)
            pool.give_back(child, "report", Outcome.OK)
            return report | {"layers": pool.layers}

        try:
            report: dict[str, Any] = with_pool(mode, work)
        finally:
            libc.shmctl(segment, IPC_RMID, None)
    return report


@pytest.fixture(scope="module")
def inside() -> dict[str, Any]:
    """Provide the report of a child with every layer that this machine has."""
    return look_inside(SandboxMode.BEST_EFFORT)


@pytest.fixture(scope="module")
def unprotected() -> dict[str, Any]:
    """Provide the report of a child without any layer."""
    return look_inside(SandboxMode.OFF)


def need(report: dict[str, Any], layer: str) -> None:
    """Skip the test on a machine that cannot have the layer."""
    if report["layers"][layer] != "ok":
        pytest.skip(f"{layer}: {report['layers'][layer]}")


def test_every_step_has_a_reason() -> None:
    """The checklist explains itself: a reason for each step, no two the same, and layers with distinct names."""
    assert all(len(step.reason.split()) > 3 for step in CHECKLIST)
    assert len({step.reason for step in CHECKLIST}) == len(CHECKLIST)
    assert len(set(LAYERS)) == len(LAYERS)


def test_the_environment_is_the_allow_list(inside: dict[str, Any]) -> None:
    """Nothing of the supervisor's environment is there, neither for Python nor for getenv(3): only the fixed list."""
    assert inside["environment"] == sandbox.environment()
    assert sorted(inside["environment_of_libc"]) == sorted(f"{k}={v}" for k, v in sandbox.environment().items())
    assert "hunter2" not in json.dumps(inside)


def test_only_the_given_descriptors_are_open(inside: dict[str, Any]) -> None:
    """A child has /dev/null, its log pipe twice, its job socket and the output."""
    assert list(inside["descriptors"].values()) == ["device", "pipe", "pipe", "socket", "output"]
    assert list(inside["descriptors"])[:4] == ["0", "1", "2", "3"]


def test_no_network(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """There is no interface but a loopback that is down: a listening parent cannot be reached, as it can without."""
    need(inside, "user, network and ipc namespaces")
    assert inside["interfaces"] == ["lo"]
    assert inside["tcp"] == "Network is unreachable"
    assert inside["abstract"] == "Connection refused"
    assert (unprotected["tcp"], unprotected["abstract"]) == ("connected", "connected")


def test_no_shared_memory_of_the_parent(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """System V shared memory of the parent can neither be listed nor attached, as it can without the namespace."""
    need(inside, "user, network and ipc namespaces")
    assert inside["segments"] == []
    assert inside["shared_memory"] == "Invalid argument"
    assert unprotected["shared_memory"] == "attached"


def test_no_privileges(inside: dict[str, Any]) -> None:
    """No capability is effective, permitted or inheritable, and none can be gained by exec."""
    need(inside, "no capabilities")
    need(inside, "no new privileges")
    status = inside["status"]
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [0, 0, 0, 0]
    assert status["NoNewPrivs"] == "1"


def test_not_dumpable(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """Other processes of the same user cannot look into a child."""
    need(inside, "not dumpable")
    assert inside["dumpable"] == 0
    assert unprotected["dumpable"] == 1


@pytest.mark.parametrize("report", ["inside", "unprotected"])
def test_what_holds_in_every_mode(report: str, request: pytest.FixtureRequest) -> None:
    """With or without layers: no core file, few descriptors, limits of the job, an own session, death with the parent."""
    found = request.getfixturevalue(report)
    limits = found["limits"]
    assert limits["RLIMIT_CORE"] == [0, 0]
    assert limits["RLIMIT_NOFILE"] == [sandbox.OPEN_FILES] * 2
    assert limits["RLIMIT_FSIZE"] == [LIMITS.output] * 2
    for name in ("RLIMIT_DATA", "RLIMIT_AS", "RLIMIT_CPU"):
        soft, hard = limits[name]
        assert soft == hard != resource.RLIM_INFINITY
    pid, session, group = found["identity"]
    assert pid == session == group
    assert found["parent_death_signal"] == signal.SIGKILL
    assert found["ignored"] == [signal.SIGPIPE, signal.SIGXFSZ]
    assert found["status"]["Threads"] == "1"
    assert list(found["descriptors"].values()) == ["device", "pipe", "pipe", "socket", "output"]
    assert found["environment"] == sandbox.environment()


def test_nothing_of_the_supervisor_is_imported(inside: dict[str, Any]) -> None:
    """The code of the database, of the log and of the supervisor was never loaded, while that of the renderers was."""
    assert not {"supervisor", "psycopg", "psycopg_binary", "structlog", "psutil", "typer"} & set(inside["modules"])
    assert {"renderer", "skia", "av"} <= set(inside["modules"])


def test_the_modes_are_reported(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """Each layer is reported: off in the mode off, in the other modes in force or with the reason why not."""
    assert unprotected["layers"] == dict.fromkeys(LAYERS, "off")
    assert list(inside["layers"]) == LAYERS
    assert not {"", "off"} & set(inside["layers"].values())


def test_required_with_every_layer(inside: dict[str, Any]) -> None:
    """In the mode `required` a child comes up where all layers can be had."""
    for layer in LAYERS:
        need(inside, layer)

    async def layers(pool: Pool) -> dict[str, str]:
        return pool.layers

    assert with_pool(SandboxMode.REQUIRED, layers) == dict.fromkeys(LAYERS, "ok")


# A process whose user is mapped nowhere may not have another user namespace (user_namespaces(7)).
WITHOUT_NAMESPACES = """
import asyncio, json, sys
from renderer import syscalls
syscalls.unshare(syscalls.CLONE_NEWUSER)
from supervisor.child import LayerMissing
from supervisor.pool import Pool
from tests.pools import LIMITS, render, with_pool
from supervisor.settings import load

async def main():
    pool = Pool(load({"RENDER_SANDBOX": sys.argv[1], "RENDER_CONCURRENCY": 1}), lambda: None, lambda job, fraction: None)
    try:
        await pool.start()
        return pool.layers
    except LayerMissing as error:
        return f"LayerMissing: {error}"
    finally:
        await pool.close()

print(json.dumps(asyncio.run(main())))
"""


@pytest.mark.parametrize("mode", [SandboxMode.REQUIRED, SandboxMode.BEST_EFFORT])
def test_a_layer_that_cannot_be_had(mode: SandboxMode, inside: dict[str, Any]) -> None:
    """Where the kernel refuses a layer, `required` has no child and says which; `best-effort` has all the others."""
    need(inside, LAYERS[0])
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_NAMESPACES, mode], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    found = json.loads(result.stdout.splitlines()[-1])
    if mode is SandboxMode.REQUIRED:
        assert found.startswith(f"LayerMissing: {LAYERS[0]}: ")
        assert "unshare" in found
    else:
        assert "unshare" in found.pop(LAYERS[0])
        assert found == dict.fromkeys(LAYERS[1:], "ok")
