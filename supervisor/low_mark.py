"""From when on a claim looks: a time before which nothing is queued.

Claims find the first queued job in an index, and pass by the entries of all that were queued before it. As a rule those are
cleaned up as they are passed. While somebody's transaction keeps an old snapshot they are not, and a claim would take
longer with every job that is done (docs/adr/0015-low-mark.md). So while there is all that is asked for, every now and then
a claim asks for the time of the oldest queued job, and those that follow look from there on.

What becomes visible later with an earlier time (its client was slow to commit, or it was given back) is passed by. So the mark
is not kept for long: an answer with less than was asked for is no answer but to ask again without it, every poll ends it, and
every fifth is found without the one before.
"""

from __future__ import annotations

_EVERY = 3000
"""Jobs that are claimed from one mark to the next: as many dead entries are passed by."""
_WHOLE = 5
"""Of so many marks one is sought among all jobs."""


class LowMark:
    """The mark, and when it is to be found anew. Pure: it is told what came back."""

    def __init__(self) -> None:
        self._mark: str | None = None
        self._asked = False
        self._claimed = 0
        self._turn = 0

    def ask(self) -> tuple[str | None, bool]:
        """Return from when on to look, None for all; and whether to ask for a mark."""
        self._asked = self._claimed >= _EVERY
        if self._asked and self._turn == 0:
            self._mark = None
        return self._mark, self._asked

    def learn(self, claimed: int, mark: str | None) -> None:
        """Take an answer that brought all that was asked for."""
        self._claimed += claimed
        if self._asked:
            self._mark, self._claimed = mark, claimed
            self._turn = (self._turn + 1) % _WHOLE if mark else 0

    def forget(self) -> bool:
        """Look among all from here on; return whether that is not what was done before."""
        marked, self._mark = self._mark is not None, None
        self._claimed = self._turn = 0
        return marked
