"""The sandbox, seen from inside real children of a real fork server."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from renderer import sandbox
from renderer.outcome import Outcome
from renderer.sandbox import FILES, PROCESSES, SandboxMode, nest
from renderer.sandbox.checklist import CHECKLIST
from tests.kinds.inside import NAMESPACES
from tests.pools import LIMITS, OneChild, render, with_pool

CHECKOUT = Path(__file__).parents[1]
LAYERS = [step.layer for step in CHECKLIST if step.layer]
SECRET = "postgresql://u:hunter2@h/d"  # noqa: S105 - nobody's password


def look_inside(mode: SandboxMode, here: Path) -> dict[str, Any]:
    """Return the report of a child, with the state of each layer and what each let through when it was tried."""
    secret = here / "secret"
    secret.write_text("x")
    spec = {"paths": [str(secret), "/etc/passwd", str(CHECKOUT / "README.md"), str(CHECKOUT / "renderer")]}

    async def work(pool: OneChild) -> dict[str, Any]:
        child, report = await render(pool, "report", spec)
        outside = psutil.Process(child.process.pid)
        pool.give_back(child, "report", Outcome.OK)
        return report | {
            "layers": pool.layers,
            "proved": await pool.prove(),
            "outside": outside.pid,
            "secret": str(secret),
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", SECRET)
        patch.setenv("LD_LIBRARY_PATH", "/nowhere")
        report: dict[str, Any] = with_pool(mode, work)
    return report


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provide the report of a child with every layer that this machine has."""
    return look_inside(SandboxMode.BEST_EFFORT, tmp_path_factory.mktemp("inside"))


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provide the report of a child without any layer."""
    return look_inside(SandboxMode.OFF, tmp_path_factory.mktemp("outside"))


def need(report: dict[str, Any], layer: str) -> None:
    """Skip the test on a machine that cannot have the layer."""
    if report["layers"][layer] != nest.OK:
        pytest.skip(f"{layer}: {report['layers'][layer]}")


def test_every_step_has_a_reason() -> None:
    """The checklist explains itself: a reason for each step, no two the same; each layer has a name and a proof."""
    assert all(len(step.reason.split()) > 3 for step in CHECKLIST)
    assert len({step.reason for step in CHECKLIST}) == len(CHECKLIST)
    assert len(set(LAYERS)) == len(LAYERS)
    assert all((step.layer is None) == (step.proof is None) for step in CHECKLIST)


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_is_proved(inside: dict[str, Any], layer: str) -> None:
    """A child that has just entered the layer tries what it forbids, before any later layer could: it is refused."""
    need(inside, layer)
    assert inside["proved"][layer] is None


def test_the_environment_is_the_allow_list(inside: dict[str, Any]) -> None:
    """Nothing of the supervisor's environment is there, neither for Python nor for getenv(3): only the fixed list."""
    assert inside["environment"] == sandbox.environment()
    assert sorted(inside["environment_of_libc"]) == sorted(f"{k}={v}" for k, v in sandbox.environment().items())
    assert "hunter2" not in json.dumps(inside)


def test_only_the_given_descriptors_are_open(inside: dict[str, Any]) -> None:
    """A child has /dev/null, its log pipe twice, its job socket and the output."""
    assert list(inside["descriptors"].values()) == ["device", "pipe", "pipe", "socket", "output"]
    assert list(inside["descriptors"])[:4] == ["0", "1", "2", "3"]


def test_namespaces(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """Of each kind of namespace but time a child has its own; without layers it has those of the supervisor."""
    for layer in (PROCESSES, "network and ipc namespaces", FILES):
        need(inside, layer)
    ours = {kind: str(Path("/proc/self/ns", kind).readlink()) for kind in NAMESPACES}
    assert unprotected["namespaces"] == ours
    assert not set(inside["namespaces"].values()) & set(ours.values())


def test_processes(inside: dict[str, Any]) -> None:
    """It is the second of its namespace, sees no other, and outside it has another number."""
    need(inside, PROCESSES)
    assert inside["identity"] == [2, 2, 2]
    assert inside["processes"] in ([], [2])
    assert inside["outside"] > 2
    assert inside["host"] != socket.gethostname()


def test_files(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """It sees the code of the kinds, and neither other files nor the rest of a checkout; it writes only to its own."""
    need(inside, FILES)
    readme, code = str(CHECKOUT / "README.md"), str(CHECKOUT / "renderer")
    assert inside["paths"] == {inside["secret"]: False, "/etc/passwd": False, readme: False, code: True}
    assert all(unprotected["paths"].values())
    assert not {"/boot", "/sys", "/home", "/mnt", "/opt", "/srv"} & set(inside["tree"]) - {
        "/" + Path(sys.prefix).parts[1]
    }
    assert inside["devices"] == ["full", "null", "random", "shm", "urandom", "zero"]
    assert inside["writable"] == ["/tmp", "/dev/shm"]


def test_user(inside: dict[str, Any]) -> None:
    """Started as root, it is another user inside, in no group of root's; started as another, that one."""
    need(inside, "own user")
    assert len(set(inside["users"][:4])) == 1
    assert inside["users"][0] == os.geteuid() or os.geteuid() == 0 != inside["users"][0]
    assert 0 not in inside["users"]


def test_no_privileges(inside: dict[str, Any]) -> None:
    """No capability is effective, permitted or inheritable, none can be gained by exec, and calls are filtered."""
    for layer in ("no capabilities", "no new privileges", "seccomp"):
        need(inside, layer)
    status = inside["status"]
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [0, 0, 0, 0]
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


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
    assert found["directory"] == "/"
    assert found["environment"] == sandbox.environment()
    assert found["oom"] == 900
    assert found["nice"] > os.nice(0)


def test_nothing_of_the_supervisor_is_imported(inside: dict[str, Any]) -> None:
    """The code of the database, of the log and of the supervisor was never loaded, while that of the renderers was."""
    assert not {"supervisor", "psycopg", "psycopg_binary", "structlog", "psutil", "typer"} & set(inside["modules"])
    assert {"renderer", "skia", "av"} <= set(inside["modules"])


def test_the_modes_are_reported(inside: dict[str, Any], unprotected: dict[str, Any]) -> None:
    """Each layer is reported: off in the mode off, in the other modes in force or with the reason why not."""
    assert unprotected["layers"] == dict.fromkeys(LAYERS, "off")
    assert unprotected["proved"] == {}
    assert list(inside["layers"]) == LAYERS
    assert not {"", "off"} & set(inside["layers"].values())


def test_required_with_every_layer(inside: dict[str, Any]) -> None:
    """In the mode `required` a child comes up where all layers can be had."""
    for layer in LAYERS:
        need(inside, layer)

    async def layers(pool: OneChild) -> dict[str, str]:
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


# As above. Two kinds of one renderer: one is allowed to read a directory, the other is not.
GRANTED_WITHOUT_NAMESPACES = """
import asyncio, sys
from renderer import syscalls
syscalls.unshare(syscalls.CLONE_NEWUSER)
from renderer.outcome import Outcome
from tests.pools import OneChild, draw

async def main():
    here = sys.argv[1]
    plugins = {name: "tests.kinds.needy:read" for name in ("rich", "poor")}
    pool = OneChild("best-effort", RENDER_PLUGINS=plugins, RENDER_ALLOW_NEEDS="rich:read=" + here)
    try:
        await pool.start()
        for kind in ("rich", "poor"):
            child, found = await draw(pool, kind, {"path": here + "/file"})
            pool.give_back(child, kind, Outcome.OK)
            print(kind, found.decode())
    finally:
        await pool.close()

asyncio.run(main())
"""


def test_what_one_kind_may_read_is_denied_to_the_others_without_namespaces(
    tmp_path: Path, inside: dict[str, Any]
) -> None:
    """Where there is no file system of its own to take it out of, Landlock denies it."""
    need(inside, LAYERS[0])
    need(inside, "Landlock")
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("seen")
    result = subprocess.run(
        [sys.executable, "-c", GRANTED_WITHOUT_NAMESPACES, str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-2:] == ["rich seen", "poor PermissionError"]


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
        missing = {layer: state for layer, state in found.items() if state != "ok"}
        assert "unshare" in missing[PROCESSES]
        assert set(missing) - {"own user"} == {
            PROCESSES,
            "network and ipc namespaces",
            FILES,
            "limited processes",
        }
