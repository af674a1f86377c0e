"""Who may ask what."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.service.support import Service
from tests.web.support import TOKEN, WITH_TOKEN, Site, free_port, web_service

WRITE = "/api/jobs/00000000-0000-0000-0000-000000000000/cancel"


def test_a_write_needs_the_token(site: Site) -> None:
    """As a bearer's or as the password of a login; anything else is refused, with the way to give it."""
    _, _, client = site
    login = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    wrong = base64.b64encode(b"me:wrong").decode()
    for header, status in (
        (None, 401),
        ("Bearer wrong", 401),
        (f"Digest {TOKEN}", 401),
        (f"Basic {wrong}", 401),
        ("Basic ///", 401),
        (f"Bearer {TOKEN}", 200),
        (f"Basic {login}", 200),
    ):
        answer = client.post(WRITE, headers={"authorization": header} if header else {})
        assert answer.status_code == status, (header, answer.text)
        assert (status == 401) == ("www-authenticate" in answer.headers)


def test_without_a_token_nothing_can_be_written(database: str, tmp_path: Path) -> None:
    """And the refusal says which setting would allow it."""
    with web_service(database, tmp_path, HTTP_TOKEN="") as (_, _, client):
        answer = client.post(WRITE, headers=WITH_TOKEN)
        assert answer.status_code == 403
        assert "HTTP_TOKEN" in answer.json()["error"]
        assert client.get("/api/jobs").status_code == 200


def test_a_form_of_another_site_writes_nothing(site: Site) -> None:
    """A browser sends the login along, and says where the form is from."""
    _, _, client = site
    assert client.post(WRITE, headers=WITH_TOKEN | {"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post(WRITE, headers=WITH_TOKEN | {"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_name_of_somebody_elses_is_refused(site: Site) -> None:
    """A page whose name was pointed at this address reads nothing; probes and scrapes go by any name."""
    _, _, client = site
    for host in ("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "[::2]:3000"):
        assert client.get("/api/jobs", headers={"host": host}).status_code == 421, host
        assert client.get("/api/health/live", headers={"host": host}).status_code == 200, host
    assert client.get("/api/jobs", headers={"host": "LocalHost:1"}).status_code == 200


def test_an_allowed_name(database: str, tmp_path: Path) -> None:
    """That of a proxy in front."""
    with web_service(database, tmp_path, HTTP_ALLOWED_HOSTS="Renders.example, other") as (_, _, client):
        assert client.get("/api/jobs", headers={"host": "renders.example"}).status_code == 200


def test_beyond_loopback_reading_needs_the_token_too(database: str, tmp_path: Path) -> None:
    """Health and metrics stay open."""
    with web_service(database, tmp_path, HTTP_HOST="0.0.0.0") as (_, _, client):  # noqa: S104 - on purpose
        assert client.get("/api/jobs").status_code == 401
        assert client.get("/api/jobs", headers=WITH_TOKEN).status_code == 200
        assert client.get("/api/health").status_code == 200
        assert client.get("/api/metrics").status_code == 200


def test_a_port_that_was_asked_for_and_is_taken_is_a_mistake(database: str, tmp_path: Path) -> None:
    """The service does not start half; it says which setting."""
    with (
        web_service(database, tmp_path) as (_, _, client),
        Service(database, tmp_path, HTTP_PORT=client.base_url.port, RENDER_SUPERVISOR_NAME="second") as second,
    ):
        assert second.process.wait(60) == 2
        assert "HTTP_PORT" in second.log.read_text()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_elsewhere_is_a_mistake(database: str, tmp_path: Path, host: str) -> None:
    """And the setting that is named is the one that is wrong."""
    with Service(database, tmp_path, HTTP_HOST=host, HTTP_PORT=free_port()) as service:
        assert service.process.wait(60) == 2
        assert "\nHTTP_HOST: " in service.log.read_text()


def test_a_token_may_be_in_any_letters(database: str, tmp_path: Path) -> None:
    """As a bearer's and as a password, sent as UTF-8."""
    token = "schlüssel-für-alles-☃"  # noqa: S105 - opens nothing
    with web_service(database, tmp_path, HTTP_TOKEN=token) as (_, _, client):
        for header in (b"Bearer " + token.encode(), b"Basic " + base64.b64encode(b"me:" + token.encode())):
            answer = client.post(WRITE, headers={b"authorization": header})
            assert answer.status_code == 200, (header, answer.text)


def test_the_token_is_told_nobody(site: Site) -> None:
    """Neither a log nor an answer has it."""
    service, _, client = site
    for path in ("/api/health", "/api/metrics", "/api/jobs", "/api/openapi.json"):
        assert TOKEN not in client.get(path, headers=WITH_TOKEN).text
    client.post(WRITE, headers=WITH_TOKEN)
    assert TOKEN not in service.log.read_text()
    assert all(TOKEN not in " ".join(process.cmdline()) for process in service.processes())


def test_a_short_token_is_a_mistake(database: str, tmp_path: Path) -> None:
    """One that could be guessed; its value is not shown."""
    with Service(database, tmp_path, HTTP_PORT=free_port(), HTTP_TOKEN="secret") as service:  # noqa: S106 - too short
        assert service.process.wait(60) == 2
        assert "HTTP_TOKEN: must have at least 16 characters, not 6" in service.log.read_text()
        assert "secret" not in service.log.read_text()
