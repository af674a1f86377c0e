"""What a hostile job would try, for test_seccomp and test_landlock. Each function runs in a process of its own."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from renderer.sandbox import ForbiddenCalls
from renderer.sandbox.seccomp import numbers, policy
from renderer.sandbox.seccomp.bpf import Program
from renderer.sandbox.seccomp.rules import NUMBER

OPEN = tempfile.TemporaryFile()  # noqa: SIM115 - opened before the layers, for `use_an_open_file`

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def call(name: str | int, *arguments: int) -> int:
    """Make a system call by name, or by number; all arguments are integers."""
    number = name if isinstance(name, int) else numbers.machine().calls[name]
    return _checked(_libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(value) for value in arguments)))


def each(calls: list[list[Any]]) -> list[int | None]:
    """Make several system calls; return the error of each."""
    found: list[int | None] = []
    for name, *arguments in calls:
        try:
            call(name, *arguments)
            found.append(None)
        except OSError as error:
            found.append(error.errno)
    return found


def call_32_bit() -> int:
    """Ask for the own process number by the i386 convention: mov eax, 20; int 0x80; ret."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    code = mmap.mmap(-1, mmap.PAGESIZE, flags=private, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    place = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(place)())


def send_to_an_address() -> int:
    """Send a datagram from a paired socket to an address of somebody else's."""
    left, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return left.sendto(b"x", "\0nobody-at-all")


def send_a_stream_to_an_address() -> int:
    """Try the same with a stream, where only the filter's look at the address can tell."""
    left, _ = socket.socketpair()
    return left.sendto(b"x", "\0nobody-at-all")


def pass_a_descriptor() -> None:
    """Put a descriptor under way, where the kernel counts it for the user."""
    left, _right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0])


def lock_parts(path: str, count: int) -> int:
    """Lock every other byte of a file; return how many locks the kernel then knows of this process."""
    with Path(path).open("w+b") as file:
        for number in range(count):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * number)
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return sum(line.split()[-4] == str(os.getpid()) for line in locks)


def start_a_program(*command: str) -> str:
    """Run a program; return what it says."""
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def fork() -> int:
    """Fork, and return how the other process ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def multiprocess() -> Any:
    """Compute in another process."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(abs, [-1])


def kill_parent(number: int) -> None:
    """Signal the parent."""
    os.kill(os.getppid(), number)


def kill_self(number: int) -> None:
    """End by a signal of one's own."""
    os.kill(os.getpid(), number)


def abort() -> None:
    """End as native code does that finds itself broken."""
    os.abort()


def install_again() -> None:
    """Ask for a filter that allows more."""
    policy.install(ForbiddenCalls.REFUSE)


def pretend_32_bit() -> None:
    """Make the machine look like one that the table does not know, then ask for a filter."""
    call("personality", 8)  # PER_LINUX32, personality(2)
    assert platform.machine() not in numbers.MACHINES or os.uname().machine not in numbers.MACHINES
    policy.install(ForbiddenCalls.REFUSE)


def restrict_without_landlock(error: int) -> None:
    """Ask for Landlock on a kernel that answers its first call as one without it does."""
    from renderer.sandbox import landlock

    program = Program()
    allow, refuse = program.give(policy.ALLOW), program.give(policy.ERRNO | error)
    program.load(NUMBER, program.if_equal(numbers.machine().calls["landlock_create_ruleset"], refuse, allow))
    policy.enter(program.assemble())
    landlock.restrict([], [])


def read(path: str) -> str:
    """Read a file."""
    return Path(path).read_text(encoding="ascii")


def write(path: str) -> None:
    """Change a file that exists."""
    with Path(path).open("r+b") as file:
        file.write(b"x")


def list_directory(path: str) -> list[str]:
    """List a directory."""
    return sorted(entry.name for entry in Path(path).iterdir())


def create(path: str) -> None:
    """Make a file."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def change(function: str, *arguments: Any) -> None:
    """Call a function of os on paths."""
    getattr(os, function)(*arguments)


def truncate_behind_reading(path: str) -> None:
    """Cut a file by its path, which is neither opening nor writing."""
    os.truncate(path, 0)


def use_a_tree(path: str) -> list[str]:
    """Do in a directory all that a renderer may: make, change, move, link, cut, remove."""
    tree = Path(path)
    (tree / "a").mkdir()
    (tree / "b").mkdir()
    (tree / "a/file").write_text("12345", encoding="ascii")
    (tree / "a/file").rename(tree / "b/moved")
    (tree / "b/link").symlink_to("moved")
    os.truncate(tree / "b/moved", 3)
    with tempfile.NamedTemporaryFile(dir=path) as file:
        file.write(b"x")
    with tempfile.TemporaryFile(dir=path) as file:
        file.write(b"x")
    (tree / "a").rmdir()
    found = [(tree / "b/link").read_text(encoding="ascii")]
    (tree / "b/link").unlink()
    return found + list_directory(str(tree / "b"))


def bind_a_path(path: str) -> None:
    """Make a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


def bind_tcp() -> None:
    """Listen for the network."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))


def connect_tcp(port: int) -> None:
    """Connect to a server on this machine."""
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", port))


def connect_abstract(name: str) -> None:
    """Connect to an abstract socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + name)


def command_a_device(path: str) -> None:
    """Send a device the command that asks whether it is a terminal."""
    with Path(path).open("r+b", buffering=0) as device:
        fcntl.ioctl(device, 0x5401, bytes(64))  # TCGETS


def narrow_then_widen(inner: str, outer: str) -> str:
    """Restrict oneself again, to more than before."""
    from renderer.sandbox import landlock

    landlock.restrict([Path(outer)], [])
    return read(inner)


def signal_a_descendant() -> int:
    """Start a process and end it."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def use_an_open_file() -> list[Any]:
    """Write and cut what this process was given at birth; return its content, and why its path cannot be opened."""
    with OPEN as file:
        file.write(b"abcdef")
        file.flush()
        file.truncate(3)
        file.seek(0)
        content = file.read().decode()
        try:
            os.close(os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY))
        except OSError as error:
            return [content, error.errno]
    return [content, None]


def highest_descriptor() -> int:
    """Return the number of the highest open descriptor."""
    return max(number for number in range(256) if _is_open(number))


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True
