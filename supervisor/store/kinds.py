"""Registers the kinds of plug-ins at migration, so that clients may enqueue before any supervisor ran."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from supervisor.store.connection import connect
from supervisor.store.statements import query


def plugin_kinds(plugins: Mapping[str, str]) -> str:
    """Return the kinds of plug-ins as `register_kinds` reads them; their schemas follow when a supervisor imported them."""
    return orjson.dumps([{"name": name, "spec_schema": None} for name in plugins]).decode()


def register_plugins(url: str, plugins: Mapping[str, str]) -> None:
    """Make the names of plug-in kinds known to enqueue_render."""
    if plugins:
        with connect(url) as connection:
            connection.execute(query("register_kinds"), {"kinds": plugin_kinds(plugins)})
