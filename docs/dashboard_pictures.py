"""Make docs/pictures/dashboard-light.png and dashboard-dark.png again: a service with work to do, seen in Chromium.

Run it as `python docs/dashboard_pictures.py`, with the extras `embedded` and `test` and the program chromium installed.
"""

# ruff: noqa: INP001 - a script, no module of a package

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

import psycopg  # noqa: E402 - found where this file lies
from playwright.sync_api import Page, expect  # noqa: E402

from supervisor.embedded import EmbeddedServer  # noqa: E402
from supervisor.store.migrate import migrate  # noqa: E402
from tests.service.support import Queue  # noqa: E402
from tests.web.browser import chromium, opened  # noqa: E402
from tests.web.support import TOKEN, web_service  # noqa: E402

SAMPLES = DOCS.parent / "renderer" / "samples"
SCENES = DOCS / "scenes"
SIZE = {"width": 480, "height": 270, "fps": 20}
PLUGINS = ",".join(f"{name}=tests.kinds.behaviour:{name}" for name in ("gate", "late", "heap", "sleep", "fail"))
USERS = ("studio-north", "studio-south", "atelier")
PATIENCE = 300_000
"""Milliseconds."""


def scene(queue: Queue, name: str, user: str, **config: object) -> str:
    """Enqueue a scene of the documentation."""
    source = (SCENES / name).read_text() if (SCENES / name).exists() else (SAMPLES / name).read_text()
    return queue.enqueue("scene", source, config=json.dumps(SIZE | config), user_id=user, correlation_id=f"req-{name}")


def some_work(queue: Queue) -> None:
    """Have pictures, videos, dead letters, and a queue."""
    first = [
        queue.enqueue("svg", {"svg": (SAMPLES / "badge.svg").read_text()}, user_id="atelier"),
        queue.enqueue("svg", {"svg": "<svg"}, user_id="studio-south", correlation_id="req-41"),
        queue.enqueue("heap", {"mb": 400}, memory_mb=64, user_id="studio-north", correlation_id="req-42"),
        queue.enqueue("sleep", {}, timeout="1 s", user_id="atelier", correlation_id="req-43"),
    ]
    for number, name in enumerate(
        ("transform.json", "keyframes.json", "paint.json", "ellipse.json", "order.json", "path.json")
    ):
        form: dict[str, Any] = {"format": "png", "time": 0.6} if number % 2 else {"format": "mp4"}
        first.append(scene(queue, name, USERS[number % 3], backgroundColor="#f8fafc", **form))
    first.append(scene(queue, "pipeline.json", "studio-north", format="mp4"))
    for job in first:
        queue.final(job)


def waves(page: Page, queue: Queue, minutes: int) -> None:
    """Let jobs come in waves for some minutes, so that the charts have something to show."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        count = 10 + int(time.monotonic() / 7) % 5 * 9
        for number in range(count):
            queue.enqueue("noop", {}, user_id=USERS[number % 3])
        page.wait_for_timeout(5_000)
    # They fail often, and end as one dead letter.
    queue.final(queue.enqueue("fail", {"message": "no font"}, max_attempts=5, user_id="atelier"))


def main() -> None:
    """Make both."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedServer.start() as server,
        chromium() as browser,
    ):
        os.environ.pop("DATABASE_URL", None)
        migrate(server.url())
        settings: dict[str, object] = {
            "RENDER_SUPERVISOR_NAME": "render-1",
            "RENDER_RETRY_DELAY_SECONDS": 1,
            "RENDER_CONCURRENCY": 3,
        }
        settings["RENDER_PLUGINS"] = PLUGINS
        with web_service(server.url(), Path(directory), **settings) as (_, queue, client):
            base = str(client.base_url).rstrip("/")
            with opened(browser, base) as page:
                waves(page, queue, minutes)
            some_work(queue)
            gates = [
                queue.enqueue("gate", {"gate": f"{directory}/gate"}, user_id="studio-south"),
                queue.enqueue("late", {"until": time.time() + 3600}, user_id="atelier"),
                scene(queue, "pipeline.json", "studio-north", format="mp4", width=1920, height=1080, fps=60),
            ]
            for job in gates:
                queue.running(job)
            for number in range(24):
                queue.enqueue("scene" if number % 3 else "svg", {}, user_id=USERS[number % 3])
            for scheme in ("light", "dark"):
                with opened(browser, base, token=TOKEN, scheme=scheme) as page:
                    page.set_viewport_size({"width": 1180, "height": 1420})
                    page.goto("/")
                    expect(page.get_by_role("status")).to_have_text("Live", timeout=PATIENCE)
                    expect(page.locator("#kinds tr", has_text="scene").locator("td").first).not_to_have_text(
                        "0", timeout=PATIENCE
                    )
                    page.wait_for_load_state("load")
                    page.wait_for_timeout(2_000)
                    page.screenshot(path=DOCS / "pictures" / f"dashboard-{scheme}.png")
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("select cancel_render(id) from render_jobs where status in ('queued', 'processing')")


if __name__ == "__main__":
    main()
