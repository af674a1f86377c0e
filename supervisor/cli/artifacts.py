"""Commands of the artifacts' store: whose it is, and taking it over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from supervisor.artifacts import ArtifactStore, artifact_store, ownership
from supervisor.errors import ExpectedError
from supervisor.settings import load
from supervisor.store.installation import Installation
from supervisor.store.migrate import require_current

app = typer.Typer(help="Say whose the store of artifacts is, and take it over.", no_args_is_help=True)


@contextmanager
def _opened() -> Iterator[tuple[ArtifactStore, Installation]]:
    """Yield the store, which is there and can be written to, and what the database knows of it. Raises ExpectedError."""
    settings = load()
    url = settings.require_database()
    require_current(url)
    store = artifact_store(settings)
    store.prepare()
    with Installation.open(url, store.place, settings.retention_days) as records:
        try:
            yield store, records
        except OSError as error:
            raise ExpectedError(f"the store must answer: {store.place}: {error}") from None
        finally:
            store.release()


@app.command()
def check() -> None:
    """Say whose the store is, and whether it holds what the database does not know. Exit 1 where it is not this database's.

    Example: `jobsupervisor artifacts check`
    """
    with _opened() as (store, records):
        ownership.require_owned(store, records)
        strangers = ownership.unknown(store, records)
        if strangers:
            raise ExpectedError(
                f"{store.place} is this database's (installation {records.installation}), and holds {len(strangers)} artifacts "
                f"that it does not know, {strangers[0]} among them: none is collected until `jobsupervisor artifacts adopt`"
            )
        print(f"{store.place} is this database's (installation {records.installation})")  # noqa: T201


@app.command()
def adopt(
    *,
    previous: Annotated[
        str | None,
        typer.Option("--from", metavar="INSTALLATION", help="The installation that the store is marked as that of."),
    ] = None,
) -> None:
    """Take the store over, with all that is in it: what no job of this database wrote is collected from now on.

    For a store whose marker is gone, for one of a database that is gone, and after a database was restored to an earlier time.

    Example: `jobsupervisor artifacts adopt --from 5f0c8a3e-9d3b-4c36-8e0e-2f6f3d0c9a11`
    """
    with _opened() as (store, records):
        ownership.adopt(store, records, previous)
        print(f"{store.place} is this database's now (installation {records.installation})")  # noqa: T201
