"""The counts, and what they mean: a run is good when no line is left under its problems."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

_SIGNALS = ("killed", "stopped", "told to stop")


@dataclass(slots=True)
class Report:
    """What a run found."""

    seed: int
    seconds: float = 0.0
    orders: int = 0
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    honest_failed: int = 0
    redriven: int = 0
    attempts: collections.Counter[str] = field(default_factory=collections.Counter)
    actions: collections.Counter[str] = field(default_factory=collections.Counter)
    rescues: int = 0
    given_back: int = 0
    fenced: int = 0
    cut_off: int = 0
    sent_again: int = 0
    published: int = 0
    orphans: int = 0
    collected: int | None = None
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.problems)

    @property
    def kills(self) -> int:
        """How many processes were sent SIGKILL."""
        return sum(count for action, count in self.actions.items() if action.endswith(" killed"))

    def text(self) -> str:
        """Return it as lines."""
        collected = "" if self.collected is None else f", {self.collected} of them collected"
        lines = [
            f"seed            {self.seed}, {self.seconds:.0f} s",
            f"jobs            {sum(self.statuses.values())} ({_counts(self.statuses)}), redriven {self.redriven}",
            f"attempts        {sum(self.attempts.values())} ({_counts(self.attempts)})",
            f"honest, failed  {self.honest_failed}",
            f"kills           {self.kills}",
            f"monkey          {sum(self.actions.values())} actions",
            *(f"                {count:4} {action}" for action, count in self.actions.most_common()),
            f"clients         cut off {self.cut_off}, sent again {self.sent_again}",
            f"rescues         {self.rescues}",
            f"given back      {self.given_back}",
            f"fenced writes   {self.fenced}",
            f"artifacts       {self.published}, and {self.orphans} that no job refers to{collected}",
            f"lost            {len(self.lost)}",
            f"duplicated      {len(self.duplicated)}",
            f"problems        {len(self.problems)}",
        ]
        return "\n".join([*lines, *self.lost, *self.duplicated, *self.problems])


def _counts(counter: collections.Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())
