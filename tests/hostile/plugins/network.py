# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""The network, near and far, and the sockets of the machine."""

from __future__ import annotations

import os
import socket
import urllib.request
from functools import partial
from pathlib import Path

from renderer import Output
from tests.hostile.plugins import Json, call, report


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def connect(spec: Json, out: Output) -> None:
    """Reach `port`, which is open on this machine, and the world, by every family of sockets."""
    here = ("127.0.0.1", int(spec["port"]))
    families = {
        "netlink": 16,
        "packet": 17,
        "vsock": 40,
        "alg": 38,
        "bluetooth": 31,
        "can": 29,
        "xdp": 44,
        "qipcrtr": 42,
    }
    report(
        out,
        {
            "tcp": lambda: socket.create_connection(here, timeout=5),
            "udp": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", here),
            "tcp over ipv6": lambda: socket.create_connection(("::1", here[1]), timeout=5),
            "mptcp": lambda: socket.socket(proto=262).connect(here),
            "sctp": lambda: socket.socket(proto=132).connect(here),
            "raw": lambda: socket.socket(type=socket.SOCK_RAW, proto=1),
            "listen": lambda: socket.create_server(("0.0.0.0", 0)),  # noqa: S104
            "metadata": lambda: socket.create_connection(("169.254.169.254", 80), timeout=5),
            "name": lambda: socket.getaddrinfo("example.org", 80),
            "old name": lambda: socket.gethostbyname("example.org"),
            **{name: partial(socket.socket, family, socket.SOCK_RAW) for name, family in families.items()},
            **{f"family {family}": partial(call, "socket", family, 2, 0) for family in range(2, 46)},
        },
    )


def connect_locally(spec: Json, out: Output) -> None:
    """Reach sockets of the machine: those that others have, and two that are certainly there."""
    paths = [
        "/run/dbus/system_bus_socket",
        "/var/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/systemd/notify",
        "/run/systemd/journal/dev-log",
        "/dev/log",
        "/var/run/postgresql/.s.PGSQL.5432",
        "/tmp/.s.PGSQL.5432",
        spec["path"],
        f"\0{spec['abstract']}",
    ]
    report(
        out,
        {f"stream to {path[1:]}": partial(_stream, path) for path in paths}
        | {f"datagram to {path[1:]}": partial(_datagram, path) for path in paths}
        | {f"message to {path[1:]}": partial(_message, path) for path in paths}
        | {"listen": lambda: socket.socket(socket.AF_UNIX).bind("/tmp/socket")},
    )


def _stream(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def _datagram(path: str) -> None:
    left, right = socket.socketpair(type=socket.SOCK_DGRAM)
    with left, right:
        left.sendto(b"x", path)


def _message(path: str) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendmsg([b"x"], [], 0, path)


def see(spec: Json, out: Output) -> None:
    """Look at the network, the mounts and the descriptors of the process that keeps the namespace, and at who is there."""
    names = ("net/tcp", "net/unix", "net/route", "net/arp", "net/dev", "mountinfo", "cmdline", "status", "cgroup")
    job = socket.socket(fileno=os.dup(3))
    report(
        out,
        {f"/proc/1/{name}": Path(f"/proc/1/{name}").read_bytes for name in names}
        | {
            "/proc/1/fd": lambda: list(Path("/proc/1/fd").iterdir()),
            "the supervisor's process": lambda: job.getsockopt(socket.SOL_SOCKET, 77),
            "who made the socket": lambda: job.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12),
        },
    )


def fetch(spec: Json, out: Output) -> None:
    """Fetch URLs."""
    urls = [
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "https://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        f"http://127.0.0.1:{spec['port']}/",
    ]
    report(out, {url: partial(urllib.request.urlopen, url, timeout=5) for url in urls})
