"""Errors that a person is meant to read: the rule, the value, the way out. Commands print them without a traceback."""

from __future__ import annotations


class ExpectedError(Exception):
    """Something the operator or user can put right. `exit_code` is what a command ends with."""

    exit_code = 1


class ConfigurationError(ExpectedError):
    """Wrong usage or a wrong setting; `problems` has one line for each."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SchemaError(ExpectedError):
    """The schema in the database is not the one that this program needs."""


class DatabaseUnreachable(ExpectedError):  # noqa: N818 - reads as the state it is
    """No usable connection to the database could be made."""
