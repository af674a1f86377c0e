"""Parameters: what is checked is what is used, whatever a text looks like."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
from starlette.requests import Request

from supervisor.store import calls
from supervisor.store.refused import Refused
from supervisor.web.pages import lists
from supervisor.web.parameters import LONGEST, Parameters
from tests.web.support import WITH_TOKEN, web_service

JOB = "0190a1b2-0000-7000-8000-000000000001"
ARABIC = "\u0661\u0662"
NUMBERS = [
    *("0", "201", "0000019999999", "007", "+5", "-5", " 5", "5 ", "5_0", "5.0", "1e2", "0x10", "five", "NaN", "\n5"),
    *(ARABIC, "\uff15", "²", "9" * 200, "5,6", "5;6"),
]
IDS = [
    "x",
    "1" * 31,
    "\u0661" * 32,
    f"{{{JOB}}}",
    f"urn:uuid:{JOB}",
    f"{JOB}\n",
    f" {JOB}",
    JOB.replace("-0000", "-0_00"),
    "0" * 33,
]
TIMES = ["", "x", ARABIC, "2026-13-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9" * 100]


def asked(query: str, known: list[str] | None = None) -> Parameters:
    """Return the parameters of a query."""
    return Parameters(Request({"type": "http", "query_string": query.encode(), "headers": []}), known)


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_decimal_digits_within_its_bounds(text: str) -> None:
    """`limit=0000019999999` was checked by its first six characters, and asked for 20 million rows."""
    with pytest.raises(Refused, match="limit must be from 1 to 200"):
        asked(f"limit={quote(text)}").number("limit", 50, 200)


@pytest.mark.parametrize(
    "query", ["&".join(f"p{n}=" for n in range(20_000)), "x=" + "y" * 5000, "&" * 5000, "a=1&" * 1000]
)
def test_a_query_that_is_long_is_not_even_parsed(query: str) -> None:
    """One of 60 KB of parameters kept the loop busy for seconds."""
    with pytest.raises(Refused, match=r"at most 4096 bytes|once|at most 255|no such"):
        asked(query, ["limit"])


def test_what_is_right_is_typed() -> None:
    """A number, an id in each of its usual forms, a time with and without a zone, a word of a list; nothing for what is empty."""
    for text in ("1", "50", "200"):
        assert asked(f"limit={text}").number("limit", 50, 200) == int(text)
    assert asked("limit=").number("limit", 50, 200) == 50
    for text in (JOB, JOB.upper(), JOB.replace("-", "")):
        assert asked(f"before={text}").job("before") == UUID(JOB)
    assert asked("").job("before") is None
    for text in ("2026-01-02T03:04:05", "2026-01-02T03:04:05%2B00:00", "2026-01-02T05:04:05%2B02:00"):
        assert asked(f"t={text}").time("t") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert asked("s=a").choice("s", ("a", "b")) == "a"
    assert asked(f"u={quote(ARABIC)}").text("u") == ARABIC


@pytest.mark.parametrize("text", IDS)
def test_an_id_is_one_in_its_usual_form(text: str) -> None:
    """Python's own reading takes digits of every script, braces, underscores."""
    with pytest.raises(Refused, match="before must be the id of a job"):
        asked(f"before={quote(text)}").job("before")
    with pytest.raises(Refused, match="must be a UUID"):
        calls.job_uuid(text)


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_one_that_there_is(text: str) -> None:
    """Nor may it lie outside of what Python and the database can count in UTC."""
    with pytest.raises(Refused, match="died_at must be a time"):
        asked(f"died_at={quote(text)}").time("died_at")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=1&limit=2", "once"),
        ("kind=a&kind=", "once"),
        ("kind=%00", "NUL"),
        (f"kind={'x' * (LONGEST + 1)}", "at most 255"),
        ("other=1", "no such parameter"),
        ("%1b[31m=1", "no such parameter"),
    ],
)
def test_what_no_parameter_may_be(query: str, word: str) -> None:
    """Given twice, with a NUL, longer than any value, unknown: refused, and told without control characters."""
    with pytest.raises(Refused, match=word) as refused:
        asked(query, ["limit", "kind"])
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "ask",
    [
        lambda limit: calls.jobs_list(limit=limit),
        lambda limit: calls.attempts(UUID(JOB), limit),
        lambda limit: lists.search("x", None, limit),
        lists.dead_letters_page,
    ],
)
def test_every_list_has_a_bound(ask: Callable[[int], object]) -> None:
    """Also where the caller forgot to look: no list that the loop answers has more rows."""
    for limit in (0, -1, calls.MOST_ROWS + 1):
        with pytest.raises(Refused, match="limit must be from 1 to 200"):
            ask(limit)
    ask(calls.MOST_ROWS)


def test_nothing_that_is_asked_ends_in_a_traceback(database: str, tmp_path: Path) -> None:
    """All of the above at a service: each is answered with 422 or 404, and it goes on."""
    queries = [f"limit={quote(text)}" for text in NUMBERS] + [f"before={quote(text)}" for text in IDS]
    with web_service(database, tmp_path, RENDER_CONCURRENCY=1) as (service, _, client):
        for query in queries:
            for path in ("/api/jobs", "/jobs" if query.startswith("before") else "/api/jobs"):
                assert client.get(f"{path}?{query}").status_code == 422, (path, query)
        for text in TIMES:
            assert client.get(f"/dead-letters?before={JOB}&died_at={quote(text)}").status_code == 422, text
        for text in IDS:
            for method, path in (("GET", ""), ("GET", "/artifact"), ("POST", "/cancel"), ("POST", "/redrive")):
                answer = client.request(method, f"/api/jobs/{quote(text, safe='')}{path}", headers=WITH_TOKEN)
                assert answer.status_code in {404, 422}, (text, path)
        assert client.get("/api/health/live").status_code == 200
        assert "Traceback" not in service.log.read_text()
