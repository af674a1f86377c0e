"""Installs the peers into a cache directory, each in its own environment; says which are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NPM_PACKAGES = ("pg-boss", "graphile-worker", "pg")
PIP_PACKAGES = {"procrastinate": "procrastinate", "pgqueuer": "pgqueuer[asyncpg]"}


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that is installed: the command that runs its runner, and its version."""

    name: str
    command: tuple[str, ...]
    version: str


def directory() -> Path:
    """Return where the peers are installed."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "jobsupervisor-bench"


def install() -> list[Peer]:
    """Install what is missing and return what is there. A peer that cannot be installed is told, and left out."""
    peers = []
    for name, install_one in (
        ("procrastinate", _python), ("pgqueuer", _python), ("pg-boss", _node), ("graphile-worker", _node),
    ):  # fmt: skip
        try:
            peers.append(install_one(name))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} is left out, it cannot be installed: {error}", file=sys.stderr)
    return peers


def _python(name: str) -> Peer:
    home = directory() / name
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_PACKAGES[name]]
    subprocess.run(pip, check=True)
    code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return Peer(name, (str(python), str(HERE / f"run_{name}.py")), version)


def _node(name: str) -> Peer:
    home = directory() / "node"
    home.mkdir(parents=True, exist_ok=True)
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise FileNotFoundError("there is no node with npm on the path")
    if not all((home / "node_modules" / package).exists() for package in NPM_PACKAGES):
        (home / "package.json").write_text('{"private": true}\n')
        subprocess.run([npm, "install", "--silent", "--no-fund", "--no-audit", *NPM_PACKAGES], cwd=home, check=True)
    code = f"console.log(require('./node_modules/{name}/package.json').version)"
    version = subprocess.run([node, "-e", code], cwd=home, capture_output=True, text=True, check=True).stdout.strip()
    # Beside its packages: that is where node looks for them.
    runner = home / f"run_{name}.mjs"
    for source in HERE.glob("*.mjs"):
        shutil.copy(source, home / source.name)
    return Peer(name, (node, str(runner)), version)
