"""What the video formats share: files that ffmpeg reads and writes without a path, and its shortage of memory."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import av
import av.error

from renderer.output import Output

if TYPE_CHECKING:
    from av.container import OutputContainer

# The encoders run in the thread that calls them: a child is one of as many as there are processors, may be forbidden
# to start threads, and the bytes must not depend on how many processors there are.
THREADS = 1


class _Writer:
    """The calls that ffmpeg makes on an output. A wrapper, so that closing the container leaves the output open."""

    def __init__(self, out: Output) -> None:
        self.write = out.write
        self.seek = out.seek
        self.tell = out.tell


class _Reader(io.RawIOBase):
    """A second look at the output with a position of its own: ffmpeg reads back what it moves behind the header."""

    def __init__(self, out: Output) -> None:
        super().__init__()
        self._fd = out.fileno()
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self._fd, size if size >= 0 else os.fstat(self._fd).st_size, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: os.fstat(self._fd).st_size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position


def open_container(out: Output, name: str, options: dict[str, str]) -> OutputContainer:
    """Return a container of the format `name` that writes to `out`."""

    def reopen(_url: str, _flags: int, _options: dict[str, str]) -> _Reader:
        out.flush()
        return _Reader(out)

    options = {"fflags": "+bitexact", **options}
    return av.open(_Writer(out), "w", format=name, options=options, io_open=reopen)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError where ffmpeg or an encoder within it could not allocate.

    x264 and libvpx say so in words of their own: a failure of an external library, an invalid argument when they are
    opened, invalid data when they are sent a frame. Sizes and options are checked before they get there, so a shortage
    of memory is what is left.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error).startswith("Could not allocate"):  # PyAV, where ffmpeg returned nothing
            raise MemoryError(str(error)) from error
        raise
    except av.error.FFmpegError as error:
        encoder = isinstance(error, av.error.ExternalError | av.error.ArgumentError | av.error.InvalidDataError)
        if error.errno == errno.ENOMEM or (encoder and "avcodec_" in str(error)):
            raise MemoryError(f"no memory for the encoder: {error}") from error
        raise
