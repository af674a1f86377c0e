"""The house's rules about imports hold, and would be noticed if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


def lint_imports(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages in a directory."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Provide a copy of the two packages, to break rules in."""
    for name in ("supervisor", "renderer"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_rules_hold() -> None:
    """Every contract in pyproject.toml is kept."""
    result = lint_imports(CHECKOUT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("contract", "module", "statement"),
    [
        ("child", "renderer/kinds/breach.py", "import psycopg"),
        ("child", "renderer/breach.py", "import structlog"),
        ("child", "renderer/breach.py", "import psutil"),
        ("child", "renderer/breach.py", "from supervisor import PROJECT"),
        ("border", "supervisor/breach.py", "from renderer.kinds import noop"),
        ("border", "supervisor/breach.py", "from renderer import output"),
        ("border", "supervisor/breach.py", "import renderer"),
        ("database", "supervisor/breach.py", "import psycopg"),
        ("database", "supervisor/embedded/breach.py", "from psycopg import sql"),
        ("database", "renderer/breach.py", "import psycopg"),
        ("errands", "supervisor/breach.py", "import requests"),
        ("errands", "supervisor/alerts/breach.py", "from apprise import Apprise"),
        ("objects", "supervisor/web/breach.py", "import obstore"),
    ],
)
def test_a_breach_is_noticed(copy: Path, contract: str, module: str, statement: str) -> None:
    """Each contract names the module that breaks it: none of them is satisfied by accident."""
    (copy / module).parent.mkdir(exist_ok=True)
    (copy / module).write_text(f"{statement}\n")
    result = lint_imports(copy, "--contract", contract)
    assert result.returncode == 1, result.stdout
    assert "breach" in result.stdout


@pytest.mark.parametrize("module", ["supervisor/store/fine.py", "supervisor/store/deep/fine.py"])
def test_what_is_allowed_passes(copy: Path, module: str) -> None:
    """The store may speak to the database, and the plain types that both sides share, are let through."""
    (copy / module).parent.mkdir(exist_ok=True)
    (copy / module).write_text("import psycopg\nfrom renderer import errors, limits, registry\n")
    name = ".".join(Path(module).with_suffix("").parts)
    assert f"{name} ->" not in lint_imports(copy).stdout
