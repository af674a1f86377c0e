"""The alerts that there are: what each one measures, its threshold, and how it is put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from supervisor.alerts.readings import Readings
from supervisor.settings import Settings

Severity = Literal["critical", "error", "warning"]  # as PagerDuty has them

_PROBLEM_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert. `name` is for programs: log lines, metrics, PagerDuty's key."""

    name: str
    title: str
    severity: Severity
    threshold: float
    value: Callable[[Readings], float | None]
    say: Callable[[Readings], str]
    """Say the value and the threshold; called with a value that is known only."""


def catalogue(settings: Settings) -> list[Rule]:
    """Return every alert, with the thresholds of the settings."""
    return [
        Rule(
            "error_rate",
            "Error rate",
            "error",
            settings.alert_error_rate,
            lambda seen: seen.error_rate,
            lambda seen: (
                f"{_number(100 * (seen.error_rate or 0))} % of the attempts of the last five minutes ended badly; "
                f"the threshold is {_number(100 * settings.alert_error_rate)} %"
            ),
        ),
        Rule(
            "response_time",
            "Response time",
            "warning",
            settings.alert_response_seconds,
            lambda seen: seen.response_seconds,
            lambda seen: (
                f"from due to done, 95 of 100 jobs of the last five minutes took up to {_number(seen.response_seconds or 0)} s; "
                f"the threshold is {_number(settings.alert_response_seconds)} s"
            ),
        ),
        Rule(
            "memory",
            "Memory",
            "warning",
            settings.alert_memory_mb,
            lambda seen: seen.memory_mb,
            lambda seen: (
                f"{seen.memory_of} has {_number(seen.memory_mb or 0)} MB resident; "
                f"the threshold is {_number(settings.alert_memory_mb)} MB"
            ),
        ),
        Rule(
            "queue_depth",
            "Queue depth",
            "warning",
            settings.alert_queue_depth,
            lambda seen: seen.queue_depth,
            lambda seen: f"{seen.queue_depth} jobs are due and wait; the threshold is {settings.alert_queue_depth}",
        ),
        Rule(
            "active_jobs",
            "Active jobs",
            "warning",
            settings.alert_active_jobs,
            lambda seen: seen.active_jobs,
            lambda seen: f"{seen.active_jobs} jobs are being rendered; the threshold is {settings.alert_active_jobs}",
        ),
        Rule(
            "database",
            "Database unreachable",
            "critical",
            # It has no number: there is a problem (1) or there is none (0).
            0.5,
            lambda seen: 0.0 if seen.database_problem is None else 1.0,
            lambda seen: _one_line(seen.database_problem) or "the database answers",
        ),
    ]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:_PROBLEM_LENGTH]
