"""Mistakes in settings, as lines for whoever made them: the setting, the rule, and the value unless it may hold a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from supervisor.errors import ConfigurationError

_SECRET = re.compile(r"URL|KEY|PASSWORD|TOKEN|SECRET")


def told(error: ValidationError, settings: Iterable[tuple[str, ...]], given: Mapping[str, Any]) -> ConfigurationError:
    """Return every mistake; `settings` are the names of each, and `given` what was set beside the environment."""
    names = {setting[0]: setting for setting in settings}
    return ConfigurationError(*(_line(problem, names, given) for problem in error.errors(include_url=False)))


def _line(problem: Any, names: Mapping[str, tuple[str, ...]], given: Mapping[str, Any]) -> str:
    documented = str(problem["loc"][0]) if problem["loc"] else "settings"
    # The name that is set, where a setting has several.
    name = next((name for name in names.get(documented, ()) if given.get(name) or os.environ.get(name)), documented)
    rule = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "too_short":  # of a secret, whose characters are "items" to pydantic
        rule = f"must have at least {problem['ctx']['min_length']} characters, not {problem['ctx']['actual_length']}"
    rule = rule[0].lower() + rule[1:]
    hidden_or_told = _SECRET.search(name) or ", got " in rule
    return f"{name}: {rule}" if hidden_or_told else f"{name}: {rule}, got {problem['input']!r}"
