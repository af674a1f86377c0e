"""What this machine and database can enforce, found by trying it."""

from __future__ import annotations

import asyncio
import ctypes
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from renderer.sandbox import FILES, PROCESSES, SandboxMode
from supervisor import descriptors
from supervisor.alerts.channels import apprise_channels, channels
from supervisor.alerts.helper import send
from supervisor.artifacts import ArtifactStore, artifact_store
from supervisor.artifacts.ownership import NotOurs, require_owned, unknown
from supervisor.child import ChildFailed
from supervisor.embedded import EmbeddedUnavailable, find_binaries
from supervisor.errors import ConfigurationError, ExpectedError
from supervisor.forkserver import ForkServerFailed
from supervisor.pool import Pool
from supervisor.settings import Settings, load
from supervisor.store import migrate as schema
from supervisor.store.installation import Installation
from supervisor.store.server import clock_difference, open_schemas, server_version

_OLDEST, _NEWEST = 14, 18
_CLOCK_SECONDS = 2.0
_LIBRARIES = {"libEGL.so.1": "libegl1", "libGL.so.1": "libgl1", "libexpat.so.1": "libexpat1"}


_NAMESPACES = (
    "allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
    "kernel.apparmor_restrict_unprivileged_userns, and the seccomp profile of the container"
)
_OWN_USER = "own user"
_REFUSED = "a child tried what it forbids, and was refused"
_USERS = {
    True: f"{_REFUSED}; each child is a user of its own",
    False: f"{_REFUSED}; children are the service's user, as it has no right to map others (CAP_SETUID and CAP_SETGID)",
}
_ADVICE = {
    PROCESSES: _NAMESPACES,
    "network and ipc namespaces": _NAMESPACES,
    FILES: "Linux 5.12 or newer, and the right to mount inside a user namespace",
    _OWN_USER: "run the service as a user of its own, as the unit does, or let root map users (CAP_SETUID)",
    "limited processes": _NAMESPACES,
    "Landlock": "Linux 5.13 or newer with landlock among the security modules (/sys/kernel/security/lsm)",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ok, degraded (works, with less) or missing, and what to do about it."""

    name: str
    state: str
    found: str
    advice: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the check for JSON."""
        return asdict(self)


def examine(settings: Settings) -> list[Check]:
    """Return every check, in the order in which they should be put right."""
    checks = [_python(), _open_files(settings), *_libraries()]
    if all(check.state == "ok" for check in checks):
        checks += asyncio.run(_children(settings))
    return [*checks, *_database(settings), _artifacts(settings), *_alerts(settings), _embedded()]


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.release()}")


def _open_files(settings: Settings) -> Check:
    """Compare the hard limit of open files with what the children need. It is told from here: the service's may be another."""
    most = descriptors.limit()
    found = f"at most {'any number' if most is None else most}, {descriptors.needed(settings.concurrency)} needed"
    try:
        descriptors.require(settings.concurrency)
    except ConfigurationError as error:
        return Check("open files", "missing", found, str(error).partition("; ")[2])
    return Check("open files", "ok", found)


def _libraries() -> Iterator[Check]:
    for library, package in _LIBRARIES.items():
        try:
            ctypes.CDLL(library)  # asked of the loader that loads it for skia
            yield Check(library, "ok", "found")
        except OSError:
            yield Check(library, "missing", "not found; skia cannot load", f"apt-get install {package}")


async def _children(settings: Settings) -> list[Check]:
    """Start a fork server and a child as the service does, and say how far they came."""
    tried = load({"RENDER_SANDBOX": SandboxMode.BEST_EFFORT, "RENDER_CONCURRENCY": 1})
    pool = Pool(tried, lambda: None, lambda _job, _fraction: None)
    try:
        await pool.start()
        kinds = Check("kinds", "ok", ", ".join(sorted(pool.kinds)))
        proved = await pool.prove()
        refused = {_OWN_USER: _USERS[pool.nursery.own_users]}
        layers = [
            _layer(name, state, proved.get(name), settings.sandbox, refused.get(name, _REFUSED))
            for name, state in pool.layers.items()
        ]
        layers.append(_groups(pool.nursery.cgroups_missing))
        missing = [
            Check(f"kind {name}", "missing", problem, "put the plug-in right, or take it out of RENDER_PLUGINS")
            for name, problem in pool.failed_kinds.items()
        ]
    except (ForkServerFailed, ChildFailed) as error:
        return [Check("children", "missing", str(error), "see the messages above")]
    finally:
        await pool.close()
    return [kinds, *missing, *layers]


def _layer(name: str, state: str, possible: str | None, mode: SandboxMode, refused: str = _REFUSED) -> Check:
    """Return the check of a layer: whether a child has it, and what it could do all the same when it tried."""
    if state == "ok" and possible is None:
        return Check(f"sandbox: {name}", "ok", refused)
    found = state if possible is None else f"it is there, and a child that tried found: {possible}"
    advice = _ADVICE.get(name, "report this, with the kernel's version")
    if mode is SandboxMode.REQUIRED:
        return Check(f"sandbox: {name}", "missing", found, f"{advice}; or RENDER_SANDBOX=best-effort to go without it")
    return Check(f"sandbox: {name}", "degraded", found, advice)


def _groups(missing: str | None) -> Check:
    """Return the check of the children's control groups. It is told from here: the unit's own may be another."""
    if missing is None:
        return Check("memory control group", "ok", "each child has one")
    advice = "the unit delegates one; without, private memory is limited exactly and the rest is sampled"
    return Check("memory control group", "degraded", missing, advice)


def _database(settings: Settings) -> Iterator[Check]:
    if settings.database_url is None:
        yield Check("database", "degraded", "DATABASE_URL is not set", "only `demo` and `render` work without it")
        return
    url = settings.require_database()
    try:
        major, text = server_version(url)
    except ExpectedError as error:
        yield Check("database", "missing", str(error), "check DATABASE_URL")
        return
    if major < _OLDEST:
        yield Check("database", "missing", text, f"PostgreSQL {_OLDEST} or newer is needed")
    elif major > _NEWEST:
        yield Check("database", "degraded", text, f"tested with PostgreSQL {_OLDEST} to {_NEWEST}")
    else:
        yield Check("database", "ok", text)
    yield _clock(url)
    public_schema = None
    try:
        state = schema.require_current(url)
        public_schema = state.public_schema
        yield Check("schema", "ok", f"version {max(state.applied)}, public functions in {state.public_schema}")
    except ExpectedError as error:
        yield Check("schema", "missing", str(error), "jobsupervisor migrate")
    yield _creators(url, public_schema)


def _creators(url: str, public_schema: str | None) -> Check:
    """Say whether everybody may put functions and operators where sessions of this role, or of clients, look for them."""
    name = "who may create"
    try:
        found = open_schemas(url, public_schema)
    except ExpectedError as error:
        return Check(name, "missing", str(error), "check DATABASE_URL")
    if not found:
        return Check(name, "ok", "not everybody, in no schema that is searched")
    told = f"everybody may create functions and operators in {', '.join(found)}: who calls ours may run into them"
    return Check(name, "degraded", told, "; ".join(found.values()))


def _clock(url: str) -> Check:
    """Compare this host's clock with the database's. Jobs go by the database's alone, so that a difference stops nothing."""
    ahead = clock_difference(url)
    if abs(ahead) < _CLOCK_SECONDS:
        return Check("clock", "ok", "as the database's")
    found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    advice = "set the clock (NTP): jobs start and end by the database's, but log lines and the age of stored files go by this one"
    return Check("clock", "degraded", found, advice)


def _artifacts(settings: Settings) -> Check:
    try:
        store = artifact_store(settings)
        store.prepare()
    except ExpectedError as error:
        advice = "set RENDER_ARTIFACTS_URL to a directory of this user's"
        if settings.object_store_url is not None:
            advice = "see `Object stores` in docs/settings.md"
        return Check("artifacts", "missing", str(error), advice)
    return _owner(settings, store)


def _owner(settings: Settings, store: ArtifactStore) -> Check:
    """Say whether the store is this database's, where there is a database; a store that is new is not marked."""
    if settings.database_url is None:
        return Check("artifacts", "ok", store.place)
    try:
        with Installation.open(settings.require_database(), store.place, settings.retention_days) as records:
            if records.marked or store.marker() is not None:
                require_owned(store, records)
            strangers = unknown(store, records)
    except NotOurs as error:
        return Check("artifacts", "missing", str(error), "see `Whose artifacts` in docs/artifacts.md")
    except (ExpectedError, OSError) as error:
        return Check(
            "artifacts", "degraded", f"{store.place}; whose it is cannot be told: {error}", "see the schema above"
        )
    if strangers:
        found = (
            f"{store.place} holds {len(strangers)} artifacts that this database does not know, such as {strangers[0]}"
        )
        return Check("artifacts", "degraded", found, "nothing is collected until `jobsupervisor artifacts adopt`")
    return Check("artifacts", "ok", store.place)


def _alerts(settings: Settings) -> Iterator[Check]:
    """Say where alerts go. Nothing is sent: somebody would be called out."""
    told = ", ".join(channel.name for channel in channels(settings))
    yield Check("alerts", "ok", told or "told to the log only")
    for channel in apprise_channels(settings):
        problem = asyncio.run(send(channel.check())).problem
        if problem is not None:
            advice = "see the service's page in Apprise's documentation for the form of its URL in ALERT_URLS"
            yield Check(f"alerts: {channel.name}", "missing", problem, advice)


def _embedded() -> Check:
    try:
        return Check("embedded database", "ok", str(find_binaries()))
    except EmbeddedUnavailable as error:
        return Check("embedded database", "degraded", str(error), "needed by `demo` and `render` only")
