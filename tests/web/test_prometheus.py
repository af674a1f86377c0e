"""Alert rules and the Grafana dashboard: what Prometheus makes of them, and of a live scrape."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.database.support import wait_until
from tests.prepared import CHECKOUT
from tests.web.support import SQUARE, free_port, web_service

FILES = CHECKOUT / "docs" / "monitoring"
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="prometheus is not installed (Debian's package prometheus has promtool too)",
)


def promtool(*arguments: str, given: str | None = None) -> str:
    """Run promtool, which must be content; return what it says."""
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False, cwd=FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    """Return the expressions of the Grafana dashboard, with its variable filled in."""
    dashboard = json.loads((FILES / "grafana.json").read_text())
    found: list[str] = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [expression.replace("$instance", ".*") for expression in found]


def test_the_rules_are_valid_and_do_what_they_say() -> None:
    """Syntax, the configuration that names them, and their own tests: when each is raised and when not."""
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "jobsupervisor.rules.yml")
    promtool("test", "rules", "jobsupervisor.rules.test.yml")


def test_they_name_no_metric_that_is_not_there() -> None:
    """Each is one of docs/metrics.md, but for the series that a histogram has."""
    known = set(re.findall(r"^\| `(jobsupervisor_\w+)`", (CHECKOUT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    used = set(re.findall(r"jobsupervisor_\w+", " ".join(expressions())))
    rules = (FILES / "jobsupervisor.rules.yml").read_text()
    used |= set(re.findall(r"jobsupervisor_\w+", rules))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} <= known


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Run a Prometheus that scrapes a port every second; yield both ports."""
    port, scraped = free_port(), free_port()
    settings = (FILES / "prometheus.yml").read_text()
    settings = settings.replace("127.0.0.1:3000", f"127.0.0.1:{scraped}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(settings)
    shutil.copy(FILES / "jobsupervisor.rules.yml", tmp_path)
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=log, stdout=log)
    try:
        yield port, scraped
    finally:
        process.terminate()
        process.wait(60)


def test_a_live_scrape_feeds_every_panel(database: str, tmp_path: Path, prometheus: tuple[int, int]) -> None:
    """Promtool finds no fault with what a service tells; Prometheus scrapes it and answers each panel's question."""
    port, scraped = prometheus
    with web_service(database, tmp_path, HTTP_PORT=scraped) as (_, queue, _):
        queue.final(queue.enqueue("svg", SQUARE))
        queue.final(queue.enqueue("sleep", {}, timeout="0.1 s"))
        promtool("check", "metrics", given=httpx.get(f"http://127.0.0.1:{scraped}/api/metrics").text)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            def asked(expression: str) -> list[Any]:
                try:
                    answer = client.get("/api/v1/query", params={"query": expression})
                except httpx.ConnectError:
                    return []
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # it is starting
                    return []
                assert answer.status_code == httpx.codes.OK, (expression, answer.text)
                found: list[Any] = answer.json()["data"]["result"]
                return found

            # Two scrapes, so that rates have something to go by.
            wait_until(lambda: asked("count_over_time(jobsupervisor_info[1m]) >= 2"), lambda: "not scraped twice")
            for expression in expressions():
                assert asked(expression), expression
            assert asked("ALERTS") == []
