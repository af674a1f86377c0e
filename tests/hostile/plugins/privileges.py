# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Privileges: everything that a kernel does for root and for the curious."""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import socket
import stat
from functools import partial

from renderer import Output
from tests.hostile.plugins import Json, call, report

_NAMESPACES = {
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "time": 0x80,
    "files": 0x400,
}
_RAISED = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_CORE")


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def become_root(spec: Json, out: Output) -> None:
    """Become somebody else, leave the tree, and take promises back."""
    prctl = partial(call, "prctl")
    report(
        out,
        {
            "setuid": lambda: os.setuid(0),
            "setresgid": lambda: os.setresgid(0, 0, 0),
            "setgroups": lambda: os.setgroups([0]),
            "setfsuid": lambda: call("setfsuid", 0),
            "capset": lambda: call(
                "capset", (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[2**32 - 1] * 6)
            ),
            "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
            "umount": lambda: call("umount2", b"/proc", 2),
            "fsopen": lambda: call("fsopen", b"tmpfs", 0),
            "open_tree": lambda: call("open_tree", -100, b"/", 1),
            "mount_setattr": lambda: call("mount_setattr", -100, b"/", 0, (ctypes.c_uint64 * 4)(), 32),
            "mknod": lambda: os.mknod("/tmp/device", 0o020666, os.makedev(1, 1)),
            "chroot": lambda: os.chroot("/tmp"),
            "pivot_root": lambda: call("pivot_root", b".", b"."),
            "sethostname": lambda: socket.sethostname("hostile"),
            "setns": lambda: call("setns", 0, 0),
            **{f"unshare {name}": partial(call, "unshare", flag) for name, flag in _NAMESPACES.items()},
            "new privileges": lambda: prctl(38, 0, 0, 0, 0),
            "dumpable": lambda: prctl(4, 1, 0, 0, 0),
            "outlive its parent": lambda: prctl(1, 0, 0, 0, 0),
            "subreaper": lambda: prctl(36, 1, 0, 0, 0),
            "seccomp": lambda: prctl(22, 2, None, 0, 0),
            "keep capabilities": lambda: prctl(8, 1, 0, 0, 0),
            "speculation": lambda: prctl(53, 0, 2, 0, 0),
            "personality": lambda: call("personality", 8),
            "settimeofday": lambda: call("settimeofday", (ctypes.c_long * 2)(), None),
            "reboot": lambda: call("reboot", 0, 0, 0, None),
            "module": lambda: call("init_module", None, 0, b""),
            "kexec": lambda: call("kexec_load", 0, 0, None, 0),
            "swapon": lambda: call("swapon", b"/tmp/x", 0),
            "iopl": lambda: call("iopl", 3),
            **{name: partial(_raise_limit, getattr(resource, name)) for name in _RAISED},
        },
    )


def _raise_limit(limit: int) -> object:
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (hard + 1, hard + 1))
    return resource.getrlimit(limit)


def rare_calls(spec: Json, out: Output) -> None:
    """Make calls that open up the kernel."""
    attributes = ctypes.create_string_buffer(b"\0\0\0\0\x80", 128)
    report(
        out,
        {
            "io_uring": lambda: call("io_uring_setup", 8, attributes),
            "io_uring_enter": lambda: call("io_uring_enter", 0, 1, 0, 0, None, 0),
            "aio": lambda: call("io_setup", 1, (ctypes.c_ulong * 1)()),
            "keyctl": lambda: call("keyctl", 0, -3, 1),
            "add_key": lambda: call("add_key", b"user", b"hostile", b"x", 1, -3),
            "bpf": lambda: call("bpf", 0, attributes, 128),
            "perf_event_open": lambda: call("perf_event_open", attributes, 0, -1, -1, 0),
            "userfaultfd": lambda: call("userfaultfd", 0),
            "modify_ldt": lambda: call("modify_ldt", 0, attributes, 16),
            "fanotify": lambda: call("fanotify_init", 0, 0),
            "inotify": lambda: call("inotify_init1", 0),
            "name_to_handle_at": lambda: call("name_to_handle_at", -100, b"/", attributes, attributes, 0),
            "open_by_handle_at": lambda: call("open_by_handle_at", -100, attributes, 0),
            "vmsplice": lambda: call("vmsplice", 1, attributes, 1, 0),
            "splice": lambda: call("splice", 0, None, 1, None, 1, 0),
            "tee": lambda: call("tee", 0, 1, 1, 0),
            "clone3": lambda: call("clone3", attributes, 64),
            "landlock": lambda: call("landlock_create_ruleset", None, 0, 1),
            "move_pages": lambda: call("move_pages", 1, 0, None, None, None, 0),
            "lookup_dcookie": lambda: call("lookup_dcookie", 0, attributes, 128),
            "syslog": lambda: call("syslog", 3, attributes, 128),
            "rseq of tomorrow": lambda: _checked(ctypes.CDLL(None).syscall(600)),
            "type for the operator": lambda: fcntl.ioctl(0, 0x5412, b"x"),
            "take the terminal": lambda: fcntl.ioctl(0, 0x540E, 1),
            "paste for the operator": lambda: fcntl.ioctl(1, 0x541C, b"\3"),
            "lease": lambda: fcntl.fcntl(out.fileno(), fcntl.F_SETLEASE, fcntl.F_RDLCK),
            "own the signals": lambda: fcntl.fcntl(3, fcntl.F_SETOWN, 1),
            "choose the signal": lambda: fcntl.fcntl(3, 10, 9),
            "notify": lambda: fcntl.fcntl(os.open("/tmp", os.O_RDONLY), fcntl.F_NOTIFY, 1),
            "larger pipe": lambda: fcntl.fcntl(1, 1031, 1 << 20),
            "immutable output": lambda: fcntl.ioctl(out.fileno(), 0x40086602, b"\x10\0\0\0\0\0\0\0"),
        },
    )


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(38, "no such call")
    return result


def other_convention(spec: Json, out: Output) -> None:
    """Make a call of 32-bit programs: mov eax, `number`; int 0x80; ret."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    code = mmap.mmap(-1, mmap.PAGESIZE, flags=private, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8" + spec["number"].to_bytes(4, "little") + b"\xcd\x80\xc3")
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    out.write(b"possible: %d" % result)


def x32(spec: Json, out: Output) -> None:
    """Make a call of the x32 convention."""
    out.write(b"possible: %d" % ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39)))


def listed_descriptors(spec: Json, out: Output) -> None:
    """List what is open; asked of each number, since a listing would open one more."""
    found = []
    for number in range(4096):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        tests = {"socket": stat.S_ISSOCK, "pipe": stat.S_ISFIFO, "device": stat.S_ISCHR, "file": stat.S_ISREG}
        found.append(next((name for name, test in tests.items() if test(mode)), "other"))
    out.content_type = "application/json"
    out.write(json.dumps(found).encode())


def listed_environment(spec: Json, out: Output) -> None:
    """List the environment, as Python and as libc have it."""
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    of_libc: list[str] = []
    while (entry := environ[len(of_libc)]) is not None:
        of_libc.append(entry.decode())
    out.content_type = "application/json"
    out.write(json.dumps([dict(os.environ), sorted(of_libc)]).encode())
