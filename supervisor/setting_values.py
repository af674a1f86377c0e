"""Settings that are lists in a language of their own, each read from one text."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from renderer.needs import NONE, Needs

_NEED = re.compile(r"([a-z][a-z0-9_.-]{0,62}):(?:threads=([0-9]{1,5})|(subprocesses)|read=(/[^/].*))")
_MODE = re.compile("0?6[04][04]")
_PLUGIN = re.compile(r"([a-z][a-z0-9_.-]{0,62})=([A-Za-z_][\w.]*:[A-Za-z_][\w.]*)")


def parse_plugins(value: object) -> object:
    """Parse `kind=package.module:callable,…`."""
    if not isinstance(value, str):
        return value
    found = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        match = _PLUGIN.fullmatch(part)
        if match is None:
            raise ValueError(f"each plug-in must be kind=package.module:callable, got {part!r}")
        found[match[1]] = match[2]
    return found


def parse_needs(value: object) -> object:
    """Parse `kind:need,…`, a need being `threads=N`, `subprocesses` or `read=/directory`."""
    if not isinstance(value, str):
        return value
    found: dict[str, Needs] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        match = _NEED.fullmatch(part)
        if match is None:
            raise ValueError(f"each must be kind:threads=N, kind:subprocesses or kind:read=/directory, got {part!r}")
        kind, threads, subprocesses, read = match.groups()
        so_far = found.get(kind, NONE)
        found[kind] = replace(
            so_far,
            threads=max(so_far.threads, int(threads or 0)),
            subprocesses=so_far.subprocesses or subprocesses is not None,
            read=(*so_far.read, os.path.normpath(read)) if read else so_far.read,
        )
    return found


def parse_list(value: object) -> object:
    """Parse `one,two`."""
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


def parse_mode(value: object) -> object:
    """Parse the mode of a file, in octal as chmod takes it: `0640`. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if not _MODE.fullmatch(value):
        raise ValueError(
            "must be the mode of a file that its owner reads and writes and others at most read, in octal: "
            f"0600, 0640 or 0644, got {value!r}"
        )
    return int(value, 8)
