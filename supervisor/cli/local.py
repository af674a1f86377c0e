"""Commands that need no service: render one file, show all of it in a demo."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from supervisor import log
from supervisor.artifacts import ArtifactStore, artifact_store
from supervisor.cli.options import pairs, parse_json, read_text
from supervisor.cli.tables import print_table
from supervisor.cli.views import progress_view
from supervisor.demo import JOBS, DemoJob, enqueue_all, settings_for_demo
from supervisor.errors import ConfigurationError
from supervisor.fetching import fetch
from supervisor.local import embedded_database, scratch_directory, work_off
from supervisor.model import Artifact
from supervisor.plain_text import escaped
from supervisor.settings import Settings, load
from supervisor.store.client import Client

_FORMATS = {"scene": ("mp4", "webm", "gif", "png"), "svg": ("png",)}
"""What the built-in kinds write, by the suffix that asks for it."""

_OTHERS = {"mp4", "webm", "gif", "png", "pdf", "jpg", "jpeg", "webp", "svg", "html"}
"""What a plug-in's kind is asked for; another suffix says nothing to it."""


def render(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="An SVG, a scene or another spec as JSON; - reads JSON.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUTPUT", help="The file to write.")],
    kind: Annotated[str | None, typer.Option(help="What the input is, where its name does not say.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One value of the config, key=value.")] = None,
) -> None:
    """Render one file through the queue and the sandbox; without DATABASE_URL on a database of its own.

    Example: `jobsupervisor render scene.json -o scene.mp4 --set width=640 --set height=360`
    """
    kind, spec = _read_input(source, kind)
    config = pairs(settings or ())
    options = load(_local_defaults())
    known = None if kind in options.plugins else _FORMATS.get(kind)
    if "format" not in config and (wanted := _format(kind, known, output)):
        config["format"] = wanted
    log.configure("error", "console")
    if options.database_url is None:
        with scratch_directory() as artifacts, embedded_database() as url:
            here = load(_local_defaults() | {"DATABASE_URL": url, "RENDER_ARTIFACTS_URL": f"file://{artifacts}"})
            _render(here, kind, spec, config, output)
    else:
        _render(options, kind, spec, config, output)


def _format(kind: str, known: tuple[str, ...] | None, output: Path) -> str | None:
    """Return the format that the output's suffix asks for, if it asks for one. Raises ConfigurationError."""
    suffix = output.suffix.lower().removeprefix(".")
    if suffix and known and suffix not in known:
        endings = " or ".join(f".{name}" for name in known)
        raise ConfigurationError(
            f"OUTPUT must end in {endings} for the kind {kind}, got {output}; or name a format with --set format={known[0]}"
        )
    return suffix if suffix in (known or _OTHERS) else None


def _local_defaults() -> dict[str, Any]:
    """Return the settings that differ from the service's, where the operator has not set them."""
    return {} if os.environ.get("RENDER_SANDBOX") else {"RENDER_SANDBOX": "best-effort"}


def _read_input(source: str, kind: str | None) -> tuple[str, object]:
    """Return the kind and the spec of an input file. Raises ConfigurationError."""
    text = read_text(source, "INPUT")
    suffix = Path(source).suffix.lower()
    if kind == "svg" or (kind is None and suffix == ".svg"):
        return "svg", {"svg": text}
    if kind is None and suffix not in {".json", ""}:
        raise ConfigurationError(f"INPUT must be .svg or .json, or --kind must say what it is, got {source}")
    return kind or "scene", parse_json(text, f"INPUT {source}")


def _render(settings: Settings, kind: str, spec: object, config: dict[str, Any], output: Path) -> None:
    url = settings.require_database()
    with Client.connect(url) as client:
        client.register_plugins(settings.plugins)
        client.listen()
        # Somebody waits for this one: what fails is told at once, not tried again.
        job_id = client.enqueue(kind, spec, config, max_attempts=1)
        try:
            row, published = _follow(client, settings, job_id, kind, output.name)
        except BaseException:
            client.cancel(job_id)  # nobody waits for it any more
            raise
    if row is None or row["status"] != "completed":
        failure, error = (row["failure"], row["error"]) if row else ("gone", "the job was removed")
        print(escaped(f"{failure or 'cancelled'}: {error or ''}", lines=True), file=sys.stderr)  # noqa: T201 - the answer to who waits
        raise typer.Exit(1)
    fetch(artifact_store(settings), row, output, published)
    print(output)  # noqa: T201


def _follow(
    client: Client, settings: Settings, job_id: str, kind: str, name: str
) -> tuple[dict[str, Any] | None, Artifact | None]:
    """Show a job's progress until it has its final status; work it off here where no supervisor is at work.

    Return its row, and what was published for it here.
    """
    with progress_view({job_id: name}) as view:
        if client.supervisors():
            return client.wait(job_id, on_progress=lambda fraction: view.moved(job_id, fraction)), None
        published = work_off(settings, {job_id}, view, only=job_id, kind=kind)
        return client.job(job_id), published.get(job_id)


def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the artifacts go.")] = Path("demo-output"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database and its artifacts in DIR too.")] = False,
) -> None:
    """Show all of it on an embedded PostgreSQL: a scene to MP4, GIF and PNG, an SVG to PNG, and three hostile jobs.

    Example: `jobsupervisor demo --out pictures`
    """
    started = time.monotonic()
    console = Console(stderr=True)
    log.configure("error", "console")
    out.mkdir(parents=True, exist_ok=True)
    with scratch_directory() as scratch:
        artifacts = out.absolute() / "artifacts" if keep else scratch
        console.print("starting an embedded PostgreSQL", highlight=False)
        with embedded_database(out.absolute() / "database" if keep else None) as url:
            settings = settings_for_demo(url, artifacts)
            with Client.connect(url) as client:
                jobs = enqueue_all(client, settings)
                with progress_view({job_id: job.name for job_id, job in jobs.items()}) as view:
                    published = work_off(settings, set(jobs), view)
                rows = client.jobs(list(jobs))
        failed = _conclude(artifact_store(settings), jobs, rows, published, out)
    seconds = time.monotonic() - started
    if keep:
        console.print(f"the database is kept in {out / 'database'}", highlight=False, markup=False, emoji=False)
    if failed:
        print(f"the demo did not go as it should in {seconds:.1f} s: {', '.join(failed)}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1)
    console.print(f"all {len(JOBS)} jobs ended as they should, in {seconds:.1f} s", highlight=False)


def _conclude(
    store: ArtifactStore,
    jobs: dict[str, DemoJob],
    rows: dict[str, dict[str, Any]],
    published: dict[str, Artifact],
    out: Path,
) -> list[str]:
    """Copy the artifacts, print what became of each job, return the names of those that ended wrong."""
    told, failed = [], []
    for job_id, job in jobs.items():
        row = rows[job_id]
        file = ""
        if row["status"] == "completed":
            fetch(store, row, out / job.name, published.get(job_id))
            file = str(out / job.name)
        if not job.as_expected(row):
            failed.append(job.name)
        reason = (row["error"] or "").partition("\n")[0]
        what = f"{row['failure']}: {reason}" if row["failure"] else job.tells(row)
        told.append((job.name, row["kind"], row["status"], str(row["attempts"]), what, file))
    print_table(("job", "kind", "status", "attempts", "what happened", "file"), told, free=2)
    return failed
