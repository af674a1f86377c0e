"""The endpoints of `/api`: health, metrics, jobs and their artifacts."""

from __future__ import annotations

from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from supervisor.artifacts import ArtifactStore
from supervisor.monitor.health import Component, Health
from supervisor.monitor.monitor import Monitor
from supervisor.store import calls
from supervisor.store.desk import Desk
from supervisor.store.job_status import JobStatus
from supervisor.web.artifact import artifact_of
from supervisor.web.asking import STATUSES, answered, one_job
from supervisor.web.guard import problem
from supervisor.web.openapi import document
from supervisor.web.parameters import Parameters

_OF_A_PAGE = ("status", "kind", "user_id", "correlation_id", "before", "limit")


class Api:
    """The endpoints, on the parts that they ask."""

    def __init__(self, artifacts: ArtifactStore, monitor: Monitor, health: Health, desk: Desk) -> None:
        self._artifacts = artifacts
        self._monitor = monitor
        self._health = health
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return the routes, by their paths."""
        return [
            Route("/api/health", self.health),
            Route("/api/health/live", self.live),
            Route("/api/health/ready", self.ready),
            Route("/api/metrics", self.metrics),
            Route("/api/openapi.json", self.openapi),
            Route("/api/jobs", answered(self.jobs)),
            Route("/api/jobs/{id}", answered(self.job)),
            Route("/api/jobs/{id}/artifact", answered(self.artifact)),
            Route("/api/jobs/{id}/cancel", answered(self.cancel), methods=["POST"]),
            Route("/api/jobs/{id}/redrive", answered(self.redrive), methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        """Say how each part is; 503 when one that matters is not well."""
        return _told(await self._health.examine())

    async def ready(self, _: Request) -> Response:
        """Say whether jobs are being taken."""
        return _told(self._health.ready())

    async def live(self, _: Request) -> Response:
        """Answer: that is the proof."""
        return JSONResponse({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        """Return the metrics, in Prometheus's text format."""
        return PlainTextResponse(
            generate_latest(self._monitor.figures.metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def openapi(self, _: Request) -> Response:
        """Describe all of this."""
        return JSONResponse(document())

    async def jobs(self, request: Request) -> Response:
        """Return a page of jobs, newest first."""
        asked = Parameters(request, _OF_A_PAGE)
        limit = asked.number("limit", 50, calls.MOST_ROWS)
        found = await self._desk.ask(
            calls.jobs_list(
                status=asked.choice("status", STATUSES),
                kind=asked.text("kind"),
                user_id=asked.text("user_id"),
                correlation_id=asked.text("correlation_id"),
                before=asked.job("before"),
                limit=limit,
            )
        )
        following = str(found[-1].id) if len(found) == limit else None
        return _json({"jobs": [_row(job) for job in found], "before": following})

    async def job(self, request: Request) -> Response:
        """Return one job, with its attempts."""
        job = await self._find(request)
        if job is None:
            return _no_such_job(request)
        attempts = await self._desk.ask(calls.attempts(job.id))
        return _json(_row(job) | {"attempts_made": attempts})

    async def artifact(self, request: Request) -> Response:
        """Return a job's artifact, whole or the range that is asked for."""
        job = await self._find(request)
        if job is None:
            return _no_such_job(request)
        return await artifact_of(job, request, self._artifacts)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        done = await self._desk.ask(calls.cancel(one_job(request)), first=True)
        return _json({"id": request.path_params["id"], "cancelled": done})

    async def redrive(self, request: Request) -> Response:
        """Put a dead letter back into the queue."""
        redriven = await self._desk.ask(calls.redrive(one_job(request)), first=True)
        return _json({"id": redriven})

    async def _find(self, request: Request) -> JobStatus | None:
        return await self._desk.ask(calls.status(one_job(request)))


def _no_such_job(request: Request) -> JSONResponse:
    return problem(404, f"there is no job {request.path_params['id']}: it was never enqueued, or was purged")


def _row(job: JobStatus) -> dict[str, Any]:
    return {name: getattr(job, name) for name in JobStatus.__slots__}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _told(components: list[Component]) -> Response:
    problems = [f"{part.name}: {part.found}" for part in components if not part.ok and part.critical]
    body = {
        "status": "ok" if not problems else "failed",
        "problems": problems,
        "components": {part.name: part.as_dict() for part in components},
    }
    return JSONResponse(body, status_code=503 if problems else 200)
