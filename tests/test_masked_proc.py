"""The sandbox where a part of /proc is masked, as engines do in a container and systemd with ProtectKernelTunables."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from renderer.sandbox import FILES
from tests.commands import environment, open_home
from tests.prepared import COMMAND

_MASK = 'mount --bind /dev/null /proc/uptime && exec "$0" doctor --json'
_UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]


@pytest.fixture(scope="module")
def layers() -> dict[str, str]:
    """Provide what `doctor` finds of each layer there; it has a child try them."""
    with open_home() as home:
        done = subprocess.run(
            [*_UNSHARE, "sh", "-c", _MASK, COMMAND],
            env=environment(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    checks = [check for check in json.loads(done.stdout) if check["name"].startswith("sandbox: ")]
    return {check["name"].removeprefix("sandbox: "): check["state"] for check in checks}


@pytest.mark.parametrize("layer", [FILES, "network and ipc namespaces", "limited processes", "Landlock", "seccomp"])
def test_no_layer_is_lost(layers: dict[str, str], layer: str) -> None:
    """The kernel mounts no second /proc there; a child comes up without one, and is proved to have the layer."""
    assert layers[layer] == "ok"
