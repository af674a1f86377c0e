"""The files that are installed: complete, consistent with the settings, and not less secure than they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor import environment_file
from supervisor.settings import Settings, can_change_while_running, load, names, secrets
from supervisor.stopping import AFTER_DRAIN_SECONDS, ALARM_SECONDS, MANAGER_SECONDS
from tests.systemd.machine import CHECKOUT

SYSTEMD = CHECKOUT / "systemd"
UNIT = SYSTEMD / "jobsupervisor.service"
ENVIRONMENT = SYSTEMD / "environment"
PRODUCTION = CHECKOUT / ".env.production.example"
SETTING = re.compile(r"#([A-Z_]+)=(.*)")
EVERY_NAME = {name for field in Settings.model_fields for name in names(field)}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no setting in the environment."""
    for name in (*EVERY_NAME, "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield comment and settings of each block in an environment file: comments, then what they are about."""
    comment, settings = "", list[str]()
    for line in text.splitlines():
        if SETTING.fullmatch(line):
            settings.append(line[1:])
        else:
            if settings:
                yield comment, settings
                comment, settings = "", []
            comment = f"{comment}{line}\n" if line else ""
    if settings:
        yield comment, settings


def loaded(directory: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Load settings from a file of these lines."""
    file = directory / "environment"
    file.write_text("\n".join(lines))
    monkeypatch.setenv(environment_file.SETTING, str(file))
    return load()


def test_the_environment_file_has_every_setting() -> None:
    """Every setting stands in it once, commented out, below a comment that says what it is."""
    found = [
        (comment, line.partition("=")[0]) for comment, lines in sections(ENVIRONMENT.read_text()) for line in lines
    ]
    assert sorted(name for _, name in found) == sorted(
        names(field)[0] for field in Settings.model_fields if not field.endswith("_ms")
    )
    assert all(comment.startswith("# ") for comment, _ in found)
    assert not [line for line in ENVIRONMENT.read_text().splitlines() if line and not line.startswith("#")]


def test_its_defaults_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all of its lines in force, what has a default has it, and everything else is a value that is taken."""
    lines = [line for _, lines in sections(ENVIRONMENT.read_text()) for line in lines]
    settings = loaded(tmp_path, lines, monkeypatch)
    fields = Settings.model_fields.items()
    fixed = {
        field: info.default for field, info in fields if info.default not in {None, ()} and not info.default_factory
    }
    fixed.pop("sandbox")
    assert {field: getattr(settings, field) for field in fixed} == fixed


def test_it_says_what_a_reload_changes() -> None:
    """The mark (reload) is at the settings that can change while the service runs, and at no other."""
    marked = {
        line.partition("=")[0]
        for comment, lines in sections(ENVIRONMENT.read_text())
        if "(reload)" in comment
        for line in lines
    }
    live = {names(field)[0] for field in Settings.model_fields if can_change_while_running(field)}
    assert marked == {name for name in live if not name.endswith("_MS")}
    table = (CHECKOUT / "docs" / "settings.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)`.*\| ↻ ", table, re.MULTILINE)) == marked


@pytest.mark.parametrize("size", ["single user", "multi-user", "high traffic"])
def test_production_in_three_sizes(size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each section loads, names a database and only settings that exist, and says why for every line."""
    parts = re.split(r"^# === (.+?): .*\n", PRODUCTION.read_text(), flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))[size]
    found = list(sections(text))
    lines = [line for _, lines in found for line in lines]
    assert {line.partition("=")[0] for line in lines} <= EVERY_NAME
    assert all(comment.startswith("# ") for comment, _ in found)
    settings = loaded(tmp_path, lines, monkeypatch)
    assert settings.require_database()


def test_every_secret_can_be_a_credential() -> None:
    """The unit loads a credential for each secret, from a file that tmpfiles.d makes for root alone."""
    wanted = {found[0].lower() for found in secrets()}
    loads = dict(re.findall(r"^LoadCredential=(\w+):(\S+)$", UNIT.read_text(), re.MULTILINE))
    assert loads == {name: f"/etc/jobsupervisor/credentials/{name}" for name in wanted}
    made = re.findall(
        r"^f (\S+) 0600 root root -$", (SYSTEMD / "tmpfiles.d" / "jobsupervisor.conf").read_text(), re.MULTILINE
    )
    assert set(made) == set(loads.values())


def test_the_unit_waits_for_the_deadline_of_a_stop() -> None:
    """Systemd kills no sooner than a stop at the defaults ends itself, and is asked for more than that by the service."""
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(seconds) > load().shutdown + AFTER_DRAIN_SECONDS + ALARM_SECONDS
    assert MANAGER_SECONDS > AFTER_DRAIN_SECONDS + ALARM_SECONDS
    text = (CHECKOUT / "docs" / "systemd.md").read_text()
    assert f"| {AFTER_DRAIN_SECONDS:g} s, the deadline of a stop |" in text
    assert f"{ALARM_SECONDS:g} s after the\ndeadline (SIGALRM)" in text


def test_how_exposed_the_unit_is() -> None:
    """`systemd-analyze security` gives 2.0 or better."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", str(UNIT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def install(destination: Path, **variables: str) -> set[str]:
    """Install below a directory; return what is there."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "-s", "-C", str(CHECKOUT), "install-systemd", f"DESTDIR={destination}", *settings]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return {str(file.relative_to(destination)) for file in destination.rglob("*") if file.is_file()}


INSTALLED = {
    "etc/jobsupervisor/environment",
    "usr/lib/systemd/system/jobsupervisor.service",
    "usr/lib/sysusers.d/jobsupervisor.conf",
    "usr/lib/tmpfiles.d/jobsupervisor.conf",
    "usr/share/doc/jobsupervisor/environment",
    "usr/share/doc/jobsupervisor/systemd.md",
}
NEWER = "usr/lib/systemd/system/jobsupervisor.service.d/systemd-254.conf"


def test_install_below_a_directory(tmp_path: Path) -> None:
    """A package gets all files and nothing else happens; systemd 254 gets what older ones would complain of."""
    assert install(tmp_path, PREFIX="/usr", SYSTEMD_VERSION="254") == INSTALLED | {NEWER}
    assert install(tmp_path, PREFIX="/usr", SYSTEMD_VERSION="252") == INSTALLED
    assert (tmp_path / "usr/lib/systemd/system/jobsupervisor.service").read_text() == UNIT.read_text()


def test_install_again_keeps_what_the_operator_wrote(tmp_path: Path) -> None:
    """An environment file that is there stays; the unit is for the application's own place, and lets the service see it."""
    install(tmp_path, PREFIX="/usr")
    environment = tmp_path / "etc/jobsupervisor/environment"
    environment.write_text("RENDER_CONCURRENCY=7\n")
    install(tmp_path, PREFIX="/usr", APP="/srv/render")
    assert environment.read_text() == "RENDER_CONCURRENCY=7\n"
    unit = (tmp_path / "usr/lib/systemd/system/jobsupervisor.service").read_text()
    assert "\nExecStart=/srv/render/bin/jobsupervisor run\n" in unit
    assert re.search(r"^BindReadOnlyPaths=.* /srv/render$", unit, re.MULTILINE)
