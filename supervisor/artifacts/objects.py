"""Artifacts in an object store.

The child writes to an unnamed local file. Its bytes are copied to another one that only the supervisor has, hashed on the
way, and that copy is uploaded: what is hashed is what is published. An object appears whole or not at all, as the stores
promise for single requests and for uploads in parts.

Keys carry the job, the attempt and the hash: `<prefix>/<last two digits of the id>/<id>-<attempt>-<hash>.<suffix>`. So a key
never means two contents. A supervisor that was stopped and goes on after its job was rescued writes to its own attempt's
key; the same upload tried again writes the same bytes. What fits into one request is put only where nothing is (a
conditional write), which makes the first one stand; a larger one is sent in parts, which not all stores can make
conditional, and need not be for that reason.

Nothing here blocks the loop: uploads run in the library's own threads, some at once, each with an end. Tried again a few
times, then the attempt is given back and the breaker opens (supervisor/artifacts/breaker.py).
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from supervisor.artifacts import clouds
from supervisor.artifacts.breaker import Breaker
from supervisor.artifacts.errors import StoreAway, told
from supervisor.artifacts.names import StoredArtifact, name_of, parsed_key
from supervisor.artifacts.output import Copy, OutputFile, copied, open_output, unnamed
from supervisor.artifacts.root import MARKER, Root
from supervisor.artifacts.workers import Workers
from supervisor.errors import ConfigurationError, ExpectedError
from supervisor.model import Artifact
from supervisor.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = structlog.get_logger()

_PART = 5 * 1024 * 1024
"""Bytes of a part: the least that S3 takes."""
_PARTS = 9000
"""Of one object at most; S3 takes 10,000."""
_PARTS_AT_ONCE = 2
_UPLOADS_AT_ONCE = 8
"""Memory for parts: 8 uploads, with two parts under way and one being filled, are 120 MB at most."""
_WAITING = 64
"""Attempts whose upload waits or runs; with more the store is too slow for what is rendered, and jobs go back."""
_PAUSES = (0.5, 2.0)
"""Seconds before an upload is tried again."""
_SECONDS, _BYTES_A_SECOND = 60.0, 256 * 1024
"""How long an upload may take, with all its tries: a minute, and the time of its bytes on a slow line."""
_CLOSE_SECONDS = 5.0
_LISTED = 1000
_MOST_MARKED = 4096


class ArtifactObjects:
    """The artifacts below one prefix. Safe for several supervisors at once, on any number of machines."""

    def __init__(self, url: str, spool: Path, settings: Settings) -> None:
        self.place = url.rstrip("/")
        self._spool = Root(spool, 0o600)
        self._workers = Workers("copying", _UPLOADS_AT_ONCE)
        self._store: ObjectStore = clouds.connect(url, settings)
        self._breaker = Breaker(self.place)
        self._slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._waiting = 0
        self._given_up = False
        self._uploads: set[asyncio.Task[None]] = set()
        self._withdrawals: set[asyncio.Task[None]] = set()

    @property
    def problem(self) -> str | None:
        """What the last upload met, where it failed; or that the disk holds up what is to be uploaded."""
        return self._breaker.problem or self._workers.problem

    def prepare(self) -> None:
        """Prove that the spool takes a file and the store an object, which is removed again. Blocks.

        Raises ConfigurationError for what must be put right, ExpectedError for a store that may be away for a while only.
        """
        import obstore

        try:
            self._spool.make()
            os.close(unnamed(self._spool.open()))
        except OSError as error:
            raise ConfigurationError(
                f"RENDER_ARTIFACTS_URL: outputs wait in {self._spool.path}, which must be writable: {error.strerror}"
            ) from None
        probe = f"probe-{uuid.uuid4()}"
        try:
            obstore.put(self._store, probe, b"written to see whether it can be; may be removed", use_multipart=False)
            obstore.delete(self._store, probe)
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            problem = told(error)
            kind = ConfigurationError if problem.lasting else ExpectedError
            raise kind(
                f"RENDER_ARTIFACTS_URL: {self.place} must take an object and let it be removed: {problem}"
            ) from None

    def marker(self) -> str | None:
        """Return what marks whose store it is. Blocks. Raises StoreAway."""
        import obstore

        try:
            return bytes(obstore.get_range(self._store, MARKER, start=0, end=_MOST_MARKED)).decode(errors="replace")
        except FileNotFoundError:
            return None
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise told(error) from None

    def mark(self, text: str, *, replace: bool = False) -> bool:
        """Mark it; False where it is marked already and that is not to be replaced. Blocks. Raises StoreAway."""
        import obstore

        try:
            if replace:
                obstore.put(self._store, MARKER, text.encode(), use_multipart=False)
                return True
            try:
                obstore.put(self._store, MARKER, text.encode(), mode="create", use_multipart=False)
            except obstore.exceptions.AlreadyExistsError:
                return False
            except (obstore.exceptions.NotSupportedError, NotImplementedError):
                # A store without conditional writes: two that begin at once may both write, and read which one stands.
                if self.marker() is not None:
                    return False
                obstore.put(self._store, MARKER, text.encode(), use_multipart=False)
        except (obstore.exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise told(error) from None
        return True

    def holds(self, urls: Sequence[str]) -> bool | None:
        """Whether it holds one of those artifacts whose URLs lead here; None where none does. Blocks. Raises StoreAway."""
        keys = [key for url in urls if (key := self._key(url))]
        return any(map(self._is_there, keys)) if keys else None

    def _is_there(self, key: str) -> bool:
        import obstore

        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise told(error) from None
        return True

    def open_output(self, spare: OutputFile | None = None) -> OutputFile:
        """Return the output of one attempt: the spare file, or a new one. Raises OSError, StoreAway where it could not be stored."""
        self._breaker.admit()
        if self._waiting >= _WAITING:
            raise StoreAway(f"{self._waiting} artifacts wait for their upload already")
        root = self._spool.open()
        return spare or open_output(root)

    async def publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        """Publish what was written.

        Raises BadOutput; OSError for the disk's faults, StillAtWork where it keeps the output; StoreAway for the store's.
        """
        self._waiting += 1
        try:
            async with self._slots:
                with ExitStack() as stack:
                    copying = copied(output, self._spool.open(), content_type)
                    copy = await self._workers.do(
                        lambda: stack.enter_context(copying),
                        _SECONDS + output.size / _BYTES_A_SECOND,
                        lambda: _give_up(stack, output),
                    )
                    key = name_of(job_id, attempt, content_type, copy.sha256)
                    await self._upload(key, copy, content_type)
        finally:
            self._waiting -= 1
        return Artifact(f"{self.place}/{key}", copy.sha256, copy.size, content_type)

    async def _upload(self, key: str, copy: Copy, content_type: str) -> None:
        """Upload, as a task of its own that can be ended. Raises StoreAway."""
        if self._given_up:
            raise StoreAway("the supervisor was stopped before the upload")
        task = asyncio.create_task(self._persist(key, copy, content_type), name=f"upload {key}")
        self._uploads.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            raise StoreAway("the supervisor was stopped during the upload") from None
        except StoreAway as error:
            self._breaker.failed(str(error))
            raise
        finally:
            task.cancel()
            self._uploads.discard(task)
        self._breaker.works()

    async def _persist(self, key: str, copy: Copy, content_type: str) -> None:
        """Try, and try again. Raises StoreAway."""
        import obstore

        try:
            async with asyncio.timeout(_SECONDS + copy.size / _BYTES_A_SECOND):
                for pause in (*_PAUSES, None):
                    try:
                        await self._put(key, copy, content_type)
                    except (obstore.exceptions.BaseError, FileNotFoundError, ValueError) as error:
                        problem = told(error)
                        if pause is None or problem.lasting:
                            raise problem from None
                    else:
                        return
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        except TimeoutError as error:
            raise told(error) from None

    async def _put(self, key: str, copy: Copy, content_type: str) -> None:
        import obstore

        # Opened anew by its number: reading has an offset of its own, from the start.
        file = Path(f"/proc/self/fd/{copy.fd}")
        attributes = {"Content-Type": content_type}
        if copy.size > _PART:
            part = max(_PART, copy.size // _PARTS + 1)
            await obstore.put_async(
                self._store, key, file, attributes=attributes, chunk_size=part, max_concurrency=_PARTS_AT_ONCE
            )
            return
        try:
            await obstore.put_async(self._store, key, file, attributes=attributes, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            return  # an earlier try whose answer was lost: the key says that the bytes are these
        except (obstore.exceptions.NotSupportedError, NotImplementedError):
            # A store without conditional writes, or with AWS_CONDITIONAL_PUT=disabled: the same bytes are written again.
            await obstore.put_async(self._store, key, file, attributes=attributes, use_multipart=False)

    def withdraw(self, artifact: Artifact, job_id: str, attempt: int) -> None:
        """Take back, in the background, what was published for an attempt that does not count.

        What fails here, retention collects.
        """
        key = name_of(job_id, attempt, artifact.content_type, artifact.sha256)
        task = asyncio.create_task(self._withdraw(key), name=f"withdraw {key}")
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

    async def _withdraw(self, key: str) -> None:
        import obstore

        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (obstore.exceptions.BaseError, ValueError) as error:
            log.warning("artifact.not_withdrawn", url=f"{self.place}/{key}", problem=str(told(error)))

    def give_up(self) -> None:
        """End the uploads: their attempts are given back."""
        self._given_up = True
        for task in self._uploads:
            task.cancel()

    def release(self) -> None:
        """Let the spool go."""
        self._spool.close()

    async def close(self) -> None:
        """End what runs; what is being withdrawn has a moment left."""
        self.give_up()
        self.release()
        if self._withdrawals:
            _, late = await asyncio.wait(self._withdrawals, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()

    def open(self, url: str) -> None:
        """Return None: no artifact is a file of this machine."""
        del url

    def file(self, url: str) -> None:
        """Return None: no artifact is a file of this machine."""
        del url

    async def read(self, url: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` (excluded). Raises FileNotFoundError, StoreAway."""
        import obstore

        key = self._key(url)
        if key is None:
            raise FileNotFoundError(url)
        try:
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=end))
        except FileNotFoundError:
            raise FileNotFoundError(url) from None
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise told(error) from None

    def remove(self, urls: Iterable[str]) -> int:
        """Remove artifacts by their URLs; return how many. Those of another place are left alone. Blocks. Raises StoreAway."""
        return self._delete([key for url in urls if (key := self._key(url))])

    def stored(self, older_than: float) -> Iterator[StoredArtifact]:
        """Yield the artifacts that were last written before a time of the wall clock. Blocks. Raises StoreAway."""
        import obstore

        try:
            for page in obstore.list(self._store, chunk_size=_LISTED):
                for meta in page:
                    found = parsed_key(meta["path"])
                    if found and (written := meta["last_modified"].timestamp()) < older_than:
                        yield replace(found, written=written)
        except (obstore.exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise told(error) from None

    def discard(self, artifacts: Sequence[StoredArtifact]) -> int:
        """Remove what `stored` yielded; return how many. Blocks. Raises StoreAway."""
        return self._delete([artifact.name for artifact in artifacts])

    def _delete(self, keys: Sequence[str]) -> int:
        import obstore

        if not keys:
            return 0
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            # One that is gone already, which some stores tell, and then the rest may have been left.
            return self._delete_each(keys)
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise told(error) from None
        return len(keys)

    def _delete_each(self, keys: Sequence[str]) -> int:
        return sum(self._delete(keys[i : i + 1]) for i in range(len(keys))) if len(keys) > 1 else 0

    def _key(self, url: str) -> str | None:
        """Return the key of a URL of ours; None for what lies elsewhere."""
        key = url.removeprefix(f"{self.place}/")
        return key if key != url and parsed_key(key) else None


def _give_up(stack: ExitStack, output: OutputFile) -> None:
    """Close what a copy that came too late was made from, and the copy."""
    stack.close()
    output.close()
