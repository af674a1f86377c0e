"""Registers the kinds of plug-ins at migration, so that clients may enqueue before any supervisor ran."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import psycopg

from supervisor.store.connection import connect
from supervisor.store.refused import refusal
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import query


def plugin_kinds(plugins: Mapping[str, str]) -> str:
    """Return the kinds of plug-ins as `register_kinds` reads them; their schemas follow when a supervisor imported them."""
    return orjson.dumps([{"name": name, "spec_schema": None} for name in plugins]).decode()


def register_plugins(url: str, plugins: Mapping[str, str]) -> None:
    """Make the names of plug-in kinds known to enqueue_render. Raises Refused, to a role that does not own the schema."""
    if plugins:
        with connect(url) as connection:
            try:
                with fixed_path(connection):
                    connection.execute(query("register_kinds"), {"kinds": plugin_kinds(plugins)})
            except psycopg.Error as error:
                raise refusal(error, connection, "register_kinds") from error
