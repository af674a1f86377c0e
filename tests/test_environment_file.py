"""Files of settings, credentials, and settings that change while the service runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor import environment_file
from supervisor.errors import ConfigurationError
from supervisor.settings import Settings, load, names


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no setting in the environment that the test did not put there."""
    for field in Settings.model_fields:
        for name in names(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the path of the file that the settings are read from."""
    path = tmp_path / "environment"
    monkeypatch.setenv(environment_file.SETTING, str(path))
    return path


FORMS = {
    "A=plain": "plain",
    "A = around ": "around",
    "A=a b  c": "a b  c",
    "A='one'": "one",
    'A="two words"': "two words",
    "A='it \\n stays'": "it \\n stays",
    'A="a \\"quote\\" and \\\\ and \\n"': 'a "quote" and \\ and \\n',
    "A=a\\ b\\#c": "a b#c",
    "A=url#fragment;more": "url#fragment;more",
    "A=one\\\ntwo": "onetwo",
    "A=b=c": "b=c",
    "A=first\nA=last": "last",
    "# A=x\n; A=y\n\n   \nA=z": "z",
    "  # A=x\n\tA=z": "z",
}


@pytest.mark.parametrize("text", FORMS)
def test_the_forms_that_systemd_takes(file: Path, text: str) -> None:
    """Quotes, comments, blanks, continued lines: what EnvironmentFile= takes is taken the same."""
    file.write_text(f"{text}\n")
    assert environment_file.read(str(file)) == {"A": FORMS[text]}


def test_nothing_is_not_set(file: Path) -> None:
    """A name that is set to nothing is not set."""
    file.write_text("A=\nB=''\nC=\"\"\n")
    assert environment_file.read(str(file)) == {}


@pytest.mark.parametrize(
    "text", ["hunter2", "1A=hunter2", "A B=hunter2", "export A=hunter2", "A='hunter2", 'A="hunter2', "A='"]
)
def test_mistakes_of_form_show_no_value(file: Path, text: str) -> None:
    """Each is told by the number of its line, all of them at once, and none shows what it may hold."""
    file.write_text(f"# first\n{text}\nB=fine\nalso wrong\n")
    with pytest.raises(ConfigurationError) as caught:
        load()
    first, second = caught.value.problems
    assert first.startswith(f"{file}:2: ")
    assert second.startswith(f"{file}:4: ")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_cannot_be_read(file: Path) -> None:
    """It is a mistake like any other, and says which file."""
    with pytest.raises(ConfigurationError, match=rf"^RENDER_ENVIRONMENT_FILE: .*{file}: No such file or directory$"):
        load()
    file.write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigurationError, match=r"it is not UTF-8$"):
        load()


def test_the_file_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the file wins over the environment, under either name, and a mistake is told by its own name."""
    monkeypatch.setenv("RENDER_CONCURRENCY", "2")
    monkeypatch.setenv("RENDER_MAX_ATTEMPTS", "2")
    file.write_text("RENDER_CONCURRENCY=3\nRENDER_MAX_ATTEMPTS=\n")
    assert (load().concurrency, load().max_attempts) == (3, 2)
    file.write_text("WORKER_MEMORY_LIMIT_MB=1\n")
    with pytest.raises(ConfigurationError, match=r"^WORKER_MEMORY_LIMIT_MB: "):
        load()


def test_what_the_manager_read_from_the_file_goes_with_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where EnvironmentFile= put the same lines into the environment, a line that is taken out is out."""
    file.write_text("RENDER_CONCURRENCY=3\nRENDER_MAX_ATTEMPTS=7\n")
    monkeypatch.setenv("RENDER_CONCURRENCY", "3")
    monkeypatch.setenv("RENDER_MAX_ATTEMPTS", "9")
    assert (load().concurrency, load().max_attempts) == (3, 7)
    file.write_text("")
    # The second was somebody else's: it is what the file had covered.
    assert (load().concurrency, load().max_attempts) == (len(os.sched_getaffinity(0)), 9)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the directory of credentials."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def test_secrets_from_credentials(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that nothing sets is read from its file; an empty one is not set; what is set, by either name, wins."""
    (credentials / "database_url").write_text("postgresql://u:hunter2@h/d\n")
    (credentials / "listen_database_url").write_text("")
    (credentials / "alert_urls").write_text("json://localhost\n")
    (credentials / "render_concurrency").write_text("7")
    settings = load()
    assert settings.require_database() == settings.listen_url == "postgresql://u:hunter2@h/d"
    assert len(settings.alert_urls) == 1
    assert settings.concurrency == len(os.sched_getaffinity(0))  # no secret
    monkeypatch.setenv("PG_BOSS_DATABASE_URL", "postgresql://set/d")
    assert load().require_database() == "postgresql://set/d"
    assert load({"DATABASE_URL": "postgresql://override/d"}).require_database() == "postgresql://override/d"


def test_a_wrong_credential_shows_nothing(credentials: Path) -> None:
    """A mistake in a credential is told by the setting's name, without the value."""
    (credentials / "database_url").write_text("mysql://u:hunter2@h/d")
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: must be the URL") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_adopting_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that can change do, in the object that everybody holds; the others are named and stay."""
    monkeypatch.setenv("WORKER_SHUTDOWN_TIMEOUT_MS", "2500")
    settings = load()
    assert settings.shutdown == 2.5
    fresh = load(
        {"RENDER_SHUTDOWN_SECONDS": "7", "RENDER_CONCURRENCY": "99", "RENDER_SANDBOX": "off", "HTTP_PORT": "1"}
    )
    assert settings.adopt(fresh) == (["RENDER_CONCURRENCY", "RENDER_SHUTDOWN_SECONDS"], ["HTTP_PORT", "RENDER_SANDBOX"])
    assert (settings.shutdown, settings.concurrency) == (7, 99)
    assert (settings.sandbox, settings.http_port) == ("required", 3000)
    # Back to the other name of the same setting.
    assert settings.adopt(load())[0] == ["RENDER_CONCURRENCY", "RENDER_SHUTDOWN_SECONDS"]
    assert settings.shutdown == 2.5
    assert settings.adopt(load()) == ([], [])
