"""The wheel holds everything that the command needs, and works far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

# The dependencies come from the environment of the tests, whose directory goes on the path last, as a line of Python
# that a .pth file runs. A plain path in that file would have the .pth files *there* read too, and with them the checkout.
DEPENDENCIES = "import sys; sys.path.append({site!r})"


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command far from the checkout and without what the caller's environment says of Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def files_in(directory: Path) -> dict[str, bytes]:
    """Return path → content of a directory's files."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def wheel_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the bin directory of a fresh virtual environment that the wheel was installed into."""
    directory = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", directory, CHECKOUT, directory=directory)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = directory.glob("jobsupervisor-*.whl")
    venv.create(directory / "venv", with_pip=False)
    python = directory / "venv" / "bin" / "python"
    pip = ("-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    installed = run(sys.executable, *pip, directory=directory)
    assert installed.returncode == 0, installed.stderr
    site = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", directory=directory
    ).stdout.strip()
    dependencies = DEPENDENCIES.format(site=sysconfig.get_path("purelib"))
    (Path(site) / "dependencies.pth").write_text(dependencies + "\n")
    return python.parent


def test_the_package_is_the_wheels(wheel_environment: Path, tmp_path: Path) -> None:
    """All three top-level names come from the fresh environment: without this the other tests here prove nothing."""
    program = "import jobsupervisor, renderer, supervisor; print(*(m.__file__ for m in (jobsupervisor, renderer, supervisor)))"
    result = run(wheel_environment / "python", "-c", program, directory=tmp_path)
    assert result.returncode == 0, result.stderr
    assert all(Path(file).is_relative_to(wheel_environment.parent) for file in result.stdout.split())


def test_every_module_is_in_it(wheel_environment: Path, tmp_path: Path) -> None:
    """Each Python file of the two packages in the checkout is importable by its name from the wheel."""
    files = [
        file.relative_to(CHECKOUT) for name in ("supervisor", "renderer") for file in (CHECKOUT / name).rglob("*.py")
    ]
    files.remove(Path("supervisor/launcher.py"))  # in the wheel it is the top-level module
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    program = "import sys, importlib.util; print([n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    assert run(wheel_environment / "python", "-c", program, *names, directory=tmp_path).stdout == "[]\n"


def test_the_command_starts(wheel_environment: Path, tmp_path: Path) -> None:
    """`jobsupervisor --help` answers."""
    result = run(wheel_environment / "jobsupervisor", "--help", directory=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "migrate" in result.stdout


def test_the_sql_travels_along(wheel_environment: Path, tmp_path: Path) -> None:
    """`migrate --sql` prints the whole schema without a checkout and without a database."""
    result = run(wheel_environment / "jobsupervisor", "migrate", "--sql", directory=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "enqueue_render" in result.stdout


def test_the_unit_travels_along(wheel_environment: Path, tmp_path: Path) -> None:
    """The files of the systemd directory are inside the package."""
    program = "import pathlib, supervisor; print(pathlib.Path(supervisor.__file__).parent / 'systemd')"
    inside = Path(run(wheel_environment / "python", "-c", program, directory=tmp_path).stdout.strip())
    in_checkout = CHECKOUT / "systemd"
    assert files_in(inside) == files_in(in_checkout)


def test_the_pages_travel_along(wheel_environment: Path, tmp_path: Path) -> None:
    """Templates, scripts and style are inside the package."""
    program = "import pathlib, supervisor.web; print(pathlib.Path(supervisor.web.__file__).parent / {!r})"
    for name in ("templates", "static"):
        inside = Path(run(wheel_environment / "python", "-c", program.format(name), directory=tmp_path).stdout.strip())
        assert files_in(inside) == files_in(CHECKOUT / "supervisor" / "web" / name)
