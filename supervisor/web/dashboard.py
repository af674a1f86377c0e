"""The dashboard: its page, its stream, lists, a job's page, and what a person may do there."""

from __future__ import annotations

import re
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from supervisor.monitor.monitor import Monitor
from supervisor.settings import Settings
from supervisor.store import calls
from supervisor.store.desk import Desk
from supervisor.store.refused import Refused
from supervisor.web.asking import STATUSES, Endpoint, answered, one_job
from supervisor.web.pages.errors import told
from supervisor.web.pages.lists import PAGE, SharedLists, dead_letters_page, history, search
from supervisor.web.pages.live import Live
from supervisor.web.pages.static import static
from supervisor.web.pages.stream import Stream
from supervisor.web.pages.templates import page, prepare
from supervisor.web.parameters import Parameters

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Dashboard:
    """The pages, on the parts that they ask."""

    def __init__(self, settings: Settings, monitor: Monitor, desk: Desk) -> None:
        self._desk = desk
        self._monitor = monitor
        self._lists = SharedLists(desk, monitor.figures)
        self._writes = settings.http_token is not None
        self._live = Live(monitor, self._lists, writes=self._writes)
        self._stream = Stream(self._live.parts)

    def routes(self) -> list[Route]:
        """Return the routes, by their paths."""
        return [
            Route("/", shown(self.dashboard)),
            Route("/events", shown(self.events)),
            Route("/figures", shown(self.figures)),
            Route("/jobs", shown(self.jobs)),
            Route("/jobs/{id}", shown(self.job)),
            Route("/jobs/{id}/redrive", shown(self.redrive), methods=["POST"]),
            Route("/jobs/{id}/cancel", shown(self.cancel), methods=["POST"]),
            Route("/dead-letters", shown(self.dead_letters)),
            Route("/static/{name}", static),
        ]

    async def close(self) -> None:
        """End the streams; whoever looks connects again, to the next one of our name."""
        await self._stream.close()

    async def dashboard(self, _: Request) -> Response:
        """Return the dashboard as it is now."""
        return page("dashboard.html", parts=await self._live.page(), name=self._monitor.name)

    async def events(self, request: Request) -> Response:
        """Return the stream of what changes."""
        if request.method == "HEAD":
            return PlainTextResponse("", media_type="text/event-stream")
        return self._stream.answer()

    async def figures(self, _: Request) -> Response:
        """Return the charts' figures as a table."""
        return page("figures.html", hour=self._live.hour(), name=self._monitor.name)

    async def jobs(self, request: Request) -> Response:
        """Return a page of jobs: all, those of a status, or those that somebody searches for."""
        asked = Parameters(request)
        text, kind = ((asked.text(name) or "").strip() for name in ("q", "kind"))
        status = asked.choice("status", STATUSES) or ""
        before = asked.job("before")
        known = await self._desk.ask(calls.status(text)) if _UUID.fullmatch(text) else None
        if known is not None:
            return RedirectResponse(f"/jobs/{known.id}", 303)
        if text:
            found = await self._desk.ask(search(text, before))
        else:
            page_of = calls.jobs_list(status=status or None, kind=kind or None, before=before, limit=PAGE)
            found = await self._desk.ask(page_of)
        more = None
        if len(found) == PAGE:
            more = "/jobs?" + urlencode({"q": text, "status": status, "kind": kind, "before": str(found[-1].id)})
        return page("jobs.html", jobs=found, q=text, status=status, kind=kind, statuses=STATUSES, more=more)

    async def job(self, request: Request) -> Response:
        """Return all that is known of a job."""
        job_id = one_job(request)
        job = await self._desk.ask(calls.status(job_id))
        if job is None:
            return told(request.scope, 404, f"there is no job {job_id}: it was never enqueued, or was purged")
        attempts = await self._desk.ask(history(job_id))
        return page("job.html", job=job, attempts=attempts, writes=self._writes)

    async def dead_letters(self, request: Request) -> Response:
        """Return a page of dead letters, the last to die first."""
        asked = Parameters(request)
        before = asked.job("before")
        died_at = asked.time("died_at") if before else None
        letters = await self._desk.ask(dead_letters_page(PAGE, died_at, before))
        more = None
        if len(letters) == PAGE:
            last = letters[-1]
            more = "/dead-letters?" + urlencode({"died_at": last["died_at"].isoformat(), "before": str(last["id"])})
        return page("dead_letters.html", letters=letters, more=more, writes=self._writes)

    async def redrive(self, request: Request) -> Response:
        """Put a dead letter back into the queue."""
        job_id = await self._desk.ask(calls.redrive(one_job(request)), first=True)
        return self._done(request, job_id, "is in the queue again")

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        job_id = one_job(request)
        if not await self._desk.ask(calls.cancel(job_id), first=True):
            raise Refused("a job must be queued or running to be cancelled, this one is finished or unknown")
        return self._done(request, job_id, "is cancelled")

    def _done(self, request: Request, job_id: UUID, what: str) -> Response:
        self._lists.outdate()
        self._stream.hurry()
        if "hx-request" in request.headers:
            return page("parts/done.html", id=job_id, what=what)
        return RedirectResponse(f"/jobs/{job_id}", 303)


def shown(endpoint: Endpoint) -> Endpoint:
    """Answer with a page, once what pages are made of is ready."""
    answer = answered(endpoint)

    async def show(request: Request) -> Response:
        await prepare()
        return await answer(request)

    return show
