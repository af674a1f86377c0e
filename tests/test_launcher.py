"""The launcher: it starts our command, or says in one line that another `supervisor` is in the way."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import supervisor

LAUNCHER = Path(supervisor.__file__).with_name("launcher.py")


def launch(*arguments: str, path: Path | None = None, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the launcher as the installed command does, in `directory`, with `path` first on the module path."""
    start = f"import runpy, sys; sys.argv[0] = 'jobsupervisor'; runpy.run_path({str(LAUNCHER)!r}, run_name='__main__')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-c", start, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of an expected refusal."""
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "virtual environment of its own" in line
    return line


def package(directory: Path, **files: str) -> Path:
    """Write a package named supervisor; return the directory that goes on the path."""
    root = directory / "site"
    for name, text in files.items():
        file = root / "supervisor" / f"{name.replace('__cli', '/cli/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_another_package_first_on_the_path(tmp_path: Path) -> None:
    """Where supervisord's package is found instead of ours, the line names the file that is in the way."""
    site = package(tmp_path, __init__="# this is a package\n", supervisord="")
    assert str(site / "supervisor" / "__init__.py") in refused(launch("--help", path=site, directory=tmp_path))


def test_another_package_in_the_current_directory(tmp_path: Path) -> None:
    """`python -m` puts the current directory first; a package there is recognised like any other."""
    site = package(tmp_path, __init__="")
    assert str(site) in refused(launch("--help", directory=site))


def test_their_files_over_ours(tmp_path: Path) -> None:
    """Where both were installed and their __init__ is the one that stayed, our modules beside it do not deceive us."""
    site = package(tmp_path, __init__="# this is a package\n")
    (site / "supervisor" / "cli").mkdir()
    (site / "supervisor" / "cli" / "__init__.py").write_text("def main(): raise SystemExit('started')\n")
    assert "is not ours" in refused(launch("--help", path=site, directory=tmp_path))


@pytest.mark.parametrize("left_over", [True, False])
def test_half_uninstalled(tmp_path: Path, *, left_over: bool) -> None:
    """Where an uninstallation of theirs took files of ours, the line says that ours is incomplete."""
    site = package(tmp_path, __init__='PROJECT = "jobsupervisor"\n')
    if left_over:
        (site / "supervisor" / "cli" / "__pycache__").mkdir(parents=True)
    assert "is incomplete" in refused(launch("--help", path=site, directory=tmp_path))


def test_no_package_file(tmp_path: Path) -> None:
    """A directory without __init__, all that is left of both, is refused with its path."""
    site = package(tmp_path, __init__="")
    (site / "supervisor" / "__init__.py").unlink()
    # Isolated from the site's packages, because a complete package further down the path would win over this one.
    start = f"import sys; sys.path.insert(0, {str(site)!r}); sys.path.append({str(LAUNCHER.parent)!r}); import launcher"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{start}; sys.exit(launcher.main())"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(site / "supervisor") in refused(result)


def test_a_package_that_cannot_be_imported(tmp_path: Path) -> None:
    """A package that needs what is not installed, as supervisord 3 does, ends in the line and not in a traceback."""
    site = package(tmp_path, __init__="import a_module_that_does_not_exist\n")
    assert "a_module_that_does_not_exist" in refused(launch("--help", path=site, directory=tmp_path))


def test_ours(tmp_path: Path) -> None:
    """With nothing in the way the command starts, as a program and as `python -m supervisor`."""
    command = Path(sys.executable).with_name("jobsupervisor")
    for start in ([str(command)], [sys.executable, "-m", "supervisor"], [sys.executable, "-m", "jobsupervisor"]):
        result = subprocess.run([*start, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "demo" in result.stdout


def test_the_installed_launcher_is_this_one() -> None:
    """An editable install copies the launcher out of the tree; a stale copy would make the tests test something else."""
    spec = importlib.util.find_spec("jobsupervisor")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).read_text() == LAUNCHER.read_text(), "run make test, or reinstall the project"
