"""What a renderer may raise to say whose fault it was."""

from __future__ import annotations


class InvalidSpec(Exception):  # noqa: N818 - the name is part of the public contract
    """The spec can never work: the job fails at once and is never retried.

    `field` is the path of the offending value as a person would write it, such as `objects[3].width`.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class LimitExceeded(Exception):  # noqa: N818 - named as the outcome `limit` is
    """A limit other than memory and time was hit: the size of the output, files, processes."""
