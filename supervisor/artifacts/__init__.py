"""Published artifacts: in a directory, or in an object store.

What is hashed is what is published. A child may keep a copy of its descriptor and write after its answer, so the file
that it wrote to is never published: its bytes are copied to a new file that only the supervisor has, hashed on the way
(supervisor/artifacts/output.py), and that one gets a name (directory.py) or is uploaded (objects.py).

Names carry the job and the attempt. A supervisor that was stopped and goes on after its job was rescued writes under its own
attempt's name; it cannot overwrite the newer attempt's bytes. A crash between publishing and acknowledging leaves an
artifact that no job refers to, which retention removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from supervisor.artifacts.directory import SMALL, ArtifactDirectory
from supervisor.artifacts.errors import StoreAway
from supervisor.artifacts.names import StoredArtifact
from supervisor.artifacts.output import BadOutput, OutputFile
from supervisor.artifacts.workers import StillAtWork
from supervisor.model import Artifact
from supervisor.settings import Settings

__all__ = [
    "SMALL",
    "ArtifactDirectory",
    "ArtifactStore",
    "BadOutput",
    "OutputFile",
    "StillAtWork",
    "StoreAway",
    "StoredArtifact",
    "artifact_store",
]


class ArtifactStore(Protocol):
    """Where artifacts are. What blocks says so; of the rest, nothing waits for a disk or a network on the loop."""

    @property
    def place(self) -> str:
        """The directory, or the URL: for people. It holds no secret."""

    @property
    def problem(self) -> str | None:
        """What is known to be wrong; None where nothing is."""

    def prepare(self) -> None:
        """Prove that something can be stored. Blocks. Raises ConfigurationError, ExpectedError."""

    def marker(self) -> str | None:
        """Return what marks whose store it is; None where nothing does. Blocks. Raises OSError."""

    def mark(self, text: str, *, replace: bool = False) -> bool:
        """Mark whose it is; False where it is marked already and that is not to be replaced. Blocks. Raises OSError."""

    def holds(self, urls: Sequence[str]) -> bool | None:
        """Whether it holds one of those artifacts whose URLs lead here; None where none does. Blocks. Raises OSError."""

    def open_output(self, spare: OutputFile | None = None) -> OutputFile:
        """Return a local file for one attempt: the spare one that its child has, or a new one. Raises OSError."""

    async def publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        """Check, copy, hash and publish what was written. Raises BadOutput; OSError for what is no fault of the job's.

        Of those, StillAtWork says that it did not end in time, keeps the output for now and closes it itself.
        """

    def withdraw(self, artifact: Artifact, job_id: str, attempt: int) -> None:
        """Take back what was published for an attempt whose result does not count. Raises OSError."""

    def give_up(self) -> None:
        """End publications that are under way, and begin no more: they raise OSError."""

    def release(self) -> None:
        """Let go of what is held open. Whoever uses the store again opens it again."""

    async def close(self) -> None:
        """Give up, end what is left, and release it."""

    def open(self, url: str) -> int | None:
        """Return a descriptor of the local file of an artifact, None where it has none. Raises OSError where there is none left."""

    def file(self, url: str) -> Path | None:
        """Return the local file of an artifact, None where it has none."""

    async def read(self, url: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` (excluded) of an artifact without a file. Raises FileNotFoundError, OSError."""

    def remove(self, urls: Iterable[str]) -> int:
        """Remove artifacts by URL; return how many. Blocks. Raises OSError."""

    def stored(self, older_than: float) -> Iterator[StoredArtifact]:
        """Yield what was last written before a time of the wall clock, in seconds. Blocks. Raises OSError."""

    def discard(self, artifacts: Sequence[StoredArtifact]) -> int:
        """Remove what `stored` yielded; return how many. Blocks. Raises OSError."""


def artifact_store(settings: Settings) -> ArtifactStore:
    """Return the store that the settings name; nothing is opened or sent. Raises ConfigurationError."""
    if settings.object_store_url is None:
        return ArtifactDirectory(settings.artifacts_directory, settings.artifacts_mode)
    # Only who needs it loads it.
    from supervisor.artifacts.objects import ArtifactObjects

    return ArtifactObjects(settings.object_store_url, settings.spool_directory, settings)
