"""One PostgreSQL server: set up, started, waited for, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Literal, Self
from urllib.parse import quote

from supervisor.embedded.account import Account, choose, shared
from supervisor.embedded.binaries import EmbeddedUnavailable, find_binaries
from supervisor.embedded.copies import reachable_binaries
from supervisor.embedded.home import Home
from supervisor.embedded.process import Process, ended, kill_orphans, kill_tree, spawn

START_SECONDS = 60.0
STOP_SECONDS = 10.0  # for each step of a stop; the server itself kills what ignores an immediate shutdown after 5
LOG_TAIL_LINES = 20
SUPERUSER = "postgres"
LOCALES = ("C.UTF-8", "C")
IPC_RMID = 0
NAMELESS = "could not look up effective user ID"
"""What initdb says where the user that it runs as has no name."""
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})

StopMode = Literal["fast", "immediate"]


class EmbeddedServer:
    """A running server; a context manager that stops it and removes what is temporary.

    Start it from a thread that outlives it: when that thread ends, the server does.
    """

    def __init__(self, home: Home, binaries: Path, account: Account | None, options: Mapping[str, str]) -> None:
        self.bin = binaries
        self.home = home.path
        self.data = home.data
        self.port = 5432  # without TCP only part of the socket's name
        self.socket_directory = Path()
        self.stop_seconds = STOP_SECONDS
        self._home = home
        self._account = account
        self._options = options
        self._tcp = False
        self._roles = False
        self._process: Process | None = None

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        binaries: Path | None = None,
        options: Mapping[str, str] = NO_OPTIONS,
        tcp: bool = False,
        roles: bool = False,
        parent: Path | None = None,
    ) -> Self:
        """Start a server and return when it accepts connections.

        Data is temporary, in a directory under `parent` or else TMPDIR; or it is in `directory`, and kept. `options` are server settings and win over ours. With `tcp` the
        server also listens on a free port of 127.0.0.1, where every local user can knock: that way in has a password. With
        `roles` whoever gets to the socket may be any role, as tests need it; otherwise we alone may, and be the superuser.
        """
        binaries = find_binaries() if binaries is None else binaries.resolve()
        account = choose(directory and directory.absolute() / "data")
        home = Home(directory, account, parent)
        try:
            server = cls(home, reachable_binaries(binaries, account, home), account, options)
            server._roles = roles
            server._initialise()
            server._run(tcp=tcp)
        except BaseException:
            home.remove()
            raise
        return server

    @property
    def pid(self) -> int:
        """The process id of the server's first process, the parent of all its others."""
        if self._process is None:
            raise RuntimeError("the embedded server is stopped; restart() it or start another")
        return self._process.pid

    @property
    def locks(self) -> Sequence[int]:
        """The descriptors that we hold as long as the server runs."""
        return tuple(self._home.locks)

    def url(self, database: str = "postgres", user: str = SUPERUSER, *, tcp: bool = False) -> str:
        """Return a connection URL: over the Unix socket, or over TCP with the superuser's password."""
        name, role = quote(database, safe=""), quote(user, safe="")
        if not tcp:
            host = quote(str(self.socket_directory), safe="")
            return f"postgresql://{role}@/{name}?host={host}&port={self.port}"
        if not self._tcp:
            raise ValueError("the embedded server has no TCP port; start it with tcp=True")
        password = f":{self._home.password.read_text()}" if user == SUPERUSER else ""
        return f"postgresql://{role}{password}@127.0.0.1:{self.port}/{name}"

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        lines = self._home.log.read_text(errors="replace").splitlines() if self._home.log.exists() else []
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and remove what is temporary. Stopping twice is harmless."""
        try:
            self._halt(mode)
        finally:
            self._home.remove()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server, whatever state it is in, and start it again on the same data, socket and port."""
        self._halt(mode)
        self._run(tcp=self._tcp)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        if self.data.exists():
            self._take_over()
            return
        # Under another name until it is whole: a kept directory must survive our death in the middle.
        unfinished = self._home.make_private("data.new")
        self._home.password.touch(mode=0o600)
        self._home.password.write_text(secrets.token_urlsafe(24))
        command: list[str | Path] = [
            self.bin / "initdb",
            "-D",
            unfinished,
            "-U",
            SUPERUSER,
            "--encoding=UTF8",
            "--auth-local=reject",
        ]
        command += ["--auth-host=scram-sha-256", f"--pwfile={self._home.password}", "--no-instructions"]
        if self._home.temporary:
            command.append("--no-sync")
        for locale in LOCALES:
            if self._initdb([*command, f"--locale={locale}"]):
                unfinished.rename(self.data)
                return
            if "invalid locale" not in self.log_tail():
                break
        raise EmbeddedUnavailable(f"initdb could not set up a server in {self.home}. It said:\n{self.log_tail()}")

    def _take_over(self) -> None:
        """Make a data directory that was kept the account's, unless a server is at work in it: that one says so itself."""
        if self._account is not None and not (self.data / "postmaster.pid").exists():
            self._account.own(self.data)

    def _initdb(self, command: list[str | Path]) -> bool:
        if self._account is None:
            return self._ends_well(command, None)
        passwd = self._home.path / "passwd"
        passwd.write_text(f"{SUPERUSER}:x:{self._account.uid}:{self._account.gid}::/:/bin/false\n", encoding="ascii")
        passwd.chmod(0o644)
        try:
            if self._ends_well(command, self._account, passwd):
                return True
            if NAMELESS not in self.log_tail():
                return False
            # A container in which root may mount nothing: made by a user that has a name, and then handed over.
            return self._ends_well(command, shared())
        finally:
            passwd.unlink()

    def _ends_well(self, command: list[str | Path], account: Account | None, passwd: Path | None = None) -> bool:
        """Run initdb, and say whether it made the directory; as another user it has it and the password for the time."""
        unfinished = self._home.path / "data.new"
        if account is not None:
            account.own(unfinished)
            account.own(self._home.password)
        process = spawn(command, account, self._home.log, self._home.locks, passwd)
        try:
            done = process.wait() == 0
        except BaseException:
            kill_tree(process)
            raise
        if self._account is not None:
            self._account.own(unfinished)
            os.chown(self._home.password, os.geteuid(), os.getegid())
        return done

    def _run(self, *, tcp: bool) -> None:
        with _reserved_port(self.port if self._tcp else 0) if tcp else contextlib.nullcontext(self.port) as self.port:
            self._tcp = tcp
            self.socket_directory = self._home.socket_directory(f".s.PGSQL.{self.port}")
            self._write_access()
            settings = {**self._settings(), **self._options}
            arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            command: list[str | Path] = [self.bin / "postgres", "-D", self.data, *arguments]
            self._process = spawn(command, self._account, self._home.log, self._home.locks)
            try:
                self._wait_until_ready(self._process)
            except BaseException:
                self._halt("immediate")
                raise

    def _write_access(self) -> None:
        """Say who may connect: by the socket we and nobody else, by TCP whoever has the password.

        Where the server runs as who we are, its socket's directory lets in nobody else. Otherwise the server asks the kernel who
        calls (peer authentication), and may be asked by others of its own user's number.
        """
        trusting = self._roles or self._account is None
        role, method = ("all", "trust") if trusting else (SUPERUSER, "peer map=owner")
        # `all` is every database, and not the one for copies of the server.
        ways = [f"local {database} {role} {method}" for database in ("all", "replication")]
        ways += [f"host {database} all samehost scram-sha-256" for database in ("all", "replication")]
        self._write("pg_hba.conf", "\n".join([*ways, ""]))
        self._write("pg_ident.conf", "" if trusting else f"owner {pwd.getpwuid(os.geteuid()).pw_name} {SUPERUSER}\n")

    def _write(self, name: str, text: str) -> None:
        # A new file in the place of the old one: what stands there may be a link that another user left in a kept directory.
        beside = self.data / f"{name}.new"
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if self._account is not None:
                os.fchown(descriptor, self._account.uid, self._account.gid)
        beside.replace(self.data / name)

    def _settings(self) -> dict[str, str]:
        durable = "off" if self._home.temporary else "on"
        return {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "32MB",
            # Files under `data`: segments in /dev/shm would outlive a server that is killed, and fill a small one.
            "dynamic_shared_memory_type": "mmap",
            "fsync": durable,
            "full_page_writes": durable,
            "synchronous_commit": durable,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }

    def _wait_until_ready(self, process: Process) -> None:
        deadline = monotonic() + START_SECONDS
        while monotonic() < deadline:
            # Not a sleep: it returns at once when the server ends.
            if ended(process, 0.01):
                raise EmbeddedUnavailable(f"the embedded server ended while starting. Its log:\n{self.log_tail()}")
            status = self._status()
            if status.pid == process.pid and status.state == "ready":
                return
        raise EmbeddedUnavailable(
            f"the embedded server must accept connections within {START_SECONDS:.0f} s of its start and did not. "
            f"Its log:\n{self.log_tail()}"
        )

    def _status(self) -> Status:
        try:
            return Status.parse((self.data / "postmaster.pid").read_text())
        except FileNotFoundError:
            return Status()

    def _halt(self, mode: StopMode) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for step in [signal.SIGINT, signal.SIGQUIT] if mode == "fast" else [signal.SIGQUIT]:
            process.send_signal(step)
            if ended(process, self.stop_seconds):
                break
        else:
            kill_tree(process)
        status = self._status()
        if status.pid is not None:
            # A server that stops removes its status file, its other processes and its shared memory. This one was
            # killed; a new one would find the old one's processes attached to the memory, and refuse to start.
            owner = os.geteuid() if self._account is None else self._account.uid
            kill_orphans(self.data, owner)
            if _is_of(status.shared_memory, owner):
                ctypes.CDLL(None).shmctl(status.shared_memory, IPC_RMID, None)


def _is_of(segment: int, uid: int) -> bool:
    """Whether a segment of shared memory (sysvipc(7)) belongs to a user: the number comes from a file that is not ours."""
    lines = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
    return any(fields[1] == str(segment) and fields[7] == str(uid) for fields in map(str.split, lines))


@dataclass(frozen=True, slots=True)
class Status:
    """What the server says of itself in `postmaster.pid`: one fact a line, appended as they come true."""

    pid: int | None = None
    shared_memory: int = -1
    state: str = ""

    @classmethod
    def parse(cls, text: str) -> Status:
        """Read as many lines as there are yet."""
        pid, _data, _started, _port, _sockets, _address, memory, state = (text.splitlines() + [""] * 8)[:8]
        segment = memory.split()[1:2]
        return cls(int(pid) if pid else None, int(segment[0]) if segment else -1, state.strip())


@contextlib.contextmanager
def _reserved_port(port: int) -> Iterator[int]:
    """Yield a free TCP port that stays ours until the server listens on it.

    Two sockets may be bound to one port with SO_REUSEADDR as long as only one listens: no other process is given the
    port in between, as it would be if we closed ours first.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", port))
        yield reservation.getsockname()[1]
