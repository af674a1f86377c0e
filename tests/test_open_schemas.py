"""What `doctor` says of schemas in which everybody may create, and that what it says to run ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from supervisor.store.server import open_schemas
from tests.commands import command

NAME = "who may create"


def check(home: Path, url: str) -> dict[str, str | None]:
    """Return what `doctor` finds."""
    found = json.loads(command(home, "doctor", "--json", DATABASE_URL=url, RENDER_SANDBOX="off").stdout)
    (check,) = [check for check in found if check["name"] == NAME]
    return cast("dict[str, str | None]", check)


def test_doctor_warns_and_what_it_says_helps(tmp_path: Path, database: str) -> None:
    """CREATE for PUBLIC on `public`, as PostgreSQL 14 grants it, is degraded; the statement that it gives puts it right."""
    assert check(tmp_path, database)["state"] == "ok"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("grant create on schema public to public")
        warned = check(tmp_path, database)
        assert warned["state"] == "degraded"
        assert warned["advice"] == "revoke create on schema public from public"
        documented = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
        for text in (warned["found"], warned["advice"]):
            assert text is not None
            assert text in documented
        connection.execute(warned["advice"].encode())
    assert check(tmp_path, database)["state"] == "ok"


@pytest.mark.each_server
def test_every_schema_that_is_searched_is_looked_at(database: str) -> None:
    """On the role's own path, under any name; one that nobody of ours looks into is not our business."""
    with psycopg.connect(database, autocommit=True) as connection:
        for name in ("postgres", '"Odd, ""name"""', "searched", "elsewhere"):
            connection.execute(
                cast("psycopg.abc.Query", f"create schema {name}; grant create on schema {name} to public")
            )
        connection.execute("revoke create on schema public from public")
    assert list(open_schemas(database, "public")) == ["postgres"]
    assert open_schemas(database, "elsewhere").keys() == {"postgres", "elsewhere"}
    hostile = make_conninfo(database, options='-csearch_path=Searched,"$user"')
    assert open_schemas(hostile, "public").keys() == {"postgres", "searched"}
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in open_schemas(hostile, "elsewhere").values():
            connection.execute(statement.encode())
    assert open_schemas(hostile, "elsewhere") == {}
