"""What a hostile job is expected to come to, and how that is checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

PATIENCE = "20 s"
"""The time of a job that is to end otherwise."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile job. `title` begins with its number; `ends` are the outcomes that are right, most often one.

    `refused` says that its artifact reports attempts, each of which must have been refused; `written` is what the artifact
    holds otherwise. `says` is found in the error. `signal` is what ended it, in every attempt.
    """

    title: str
    kind: str
    spec: Json | str
    ends: tuple[str, ...]
    options: Json = field(default_factory=dict)
    refused: bool = False
    written: str | None = None
    says: str = ""
    signal: int | None = None

    @property
    def id(self) -> str:
        """Its name among the tests."""
        return re.sub(r"\W+", "-", self.title)


def case(title: str, plugin: str, ends: str, *, spec: Json | str | None = None, **options: Any) -> Case:
    """Return the case of a plug-in's function, `kind.function`; outcomes with `|` between; other options are the job's.

    A spec that is a text is JSON already.
    """
    kind, _, do = plugin.partition(".")
    told = {name: options.pop(name) for name in ("refused", "written", "says", "signal") if name in options}
    whole = spec if isinstance(spec, str) else {**({"do": do} if do else {}), **(spec or {})}
    # Two tries, whatever the outcome: an offence's limit, and for what is none.
    return Case(title, kind, whole, tuple(ends.split("|")), {"max_attempts": 2, "timeout": PATIENCE, **options}, **told)


@dataclass(frozen=True, slots=True)
class Ended:
    """What was recorded of a job: its rows of render_jobs, render_attempts and render_dead_letters, and its artifact."""

    job: Json
    attempts: list[Json]
    letters: list[Json]
    artifact: str | None


def check(case: Case, ended: Ended) -> None:
    """Compare what was recorded with what is expected."""
    job = ended.job
    outcomes = [attempt["outcome"] for attempt in ended.attempts]
    told = f"{outcomes} {job['error']}"
    if job["status"] == "completed":
        assert "ok" in case.ends, told
        assert outcomes[-1] == "ok", told
        assert set(outcomes) <= set(case.ends), told
        assert not ended.letters, told
        _check_artifact(case, ended.artifact or "")
    else:
        assert job["status"] == "failed", told
        assert job["failure"] in case.ends, told
        assert set(outcomes) <= set(case.ends), told
        assert len(outcomes) == job["attempts"] == (1 if job["failure"] == "invalid" else 2), told
        assert [letter["failure"] for letter in ended.letters] == [job["failure"]], told
        assert ended.artifact is None
    assert case.says in (job["error"] or ""), told
    assert len(job["error"] or "") <= 4000
    if case.signal is not None:
        assert {attempt["exit_signal"] for attempt in ended.attempts} == {case.signal}, told


def _check_artifact(case: Case, artifact: str) -> None:
    if case.refused:
        answers = json.loads(artifact)
        assert answers
        assert not {name: answer for name, answer in answers.items() if answer.startswith("possible")}
    if case.written is not None:
        assert artifact == case.written
