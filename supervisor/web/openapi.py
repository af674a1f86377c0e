"""The description of the API, by OpenAPI 3.1. A test holds it to the routes and to what they answer."""

from __future__ import annotations

from typing import Any

from supervisor import __version__
from supervisor.store.calls import MOST_ROWS

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_ERROR = {"$ref": "#/components/schemas/Error"}
_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
_JOB: dict[str, Any] = {
    "id": {"type": "string", "format": "uuid"},
    "kind": _TEXT,
    "user_id": _MAYBE_TEXT,
    "status": {"enum": ["queued", "processing", "completed", "failed", "cancelled"]},
    "progress": {"type": "number"},
    "attempts": {"type": "integer"},
    "max_attempts": {"type": "integer"},
    "priority": {"type": "integer"},
    "output_url": _MAYBE_TEXT,
    "output_sha256": _MAYBE_TEXT,
    "output_bytes": {"type": ["integer", "null"]},
    "content_type": _MAYBE_TEXT,
    "failure": _MAYBE_TEXT,
    "error": _MAYBE_TEXT,
    "correlation_id": _MAYBE_TEXT,
    "created_at": {"type": "string", "format": "date-time"},
    "run_at": {"type": "string", "format": "date-time"},
    "started_at": _MAYBE_TIME,
    "finished_at": _MAYBE_TIME,
    "updated_at": {"type": "string", "format": "date-time"},
}
_COMPONENT = {
    "type": "object",
    "required": ["status", "found"],
    "properties": {"status": {"enum": ["ok", "degraded", "failed"]}, "found": _TEXT},
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _answer(text: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _errors(*numbers: int) -> dict[str, Any]:
    texts = {
        401: "The token is missing or wrong",
        403: "There is no token to give, or the role may not",
        404: "There is no such job, or no artifact",
        421: "The Host header is not one of ours",
        422: "A parameter is wrong: the rule, the value and the way out",
        503: "The database is away, or too slow; or the object store, for an artifact",
    }
    return {str(number): _answer(texts[number], _ERROR) for number in (401, 403, 421, *numbers)}


def _get(text: str, answers: dict[str, Any], parameters: list[Any] | None = None) -> dict[str, Any]:
    return {"get": {"summary": text, "parameters": parameters or [], "responses": answers}}


def _post(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    answers = {"200": _answer("Done", schema)} | _errors(422, 503)
    return {"post": {"summary": text, "parameters": [_ID], "responses": answers, "security": [{"token": []}]}}


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _health(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Health"}
    return _get(text, {"200": _answer("Well", schema), "503": _answer("Not well, and why", schema)})


def document() -> dict[str, Any]:
    """Return the description."""
    job = {"$ref": "#/components/schemas/Job"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "jobsupervisor", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": {
            "/api/health": _health(
                "Whether this supervisor does its work; a small render is tried where none went well lately"
            ),
            "/api/health/ready": _health("Whether this supervisor takes jobs"),
            "/api/health/live": _get(
                "Whether the loop answers", {"200": _answer("It does", _object({"status": {"const": "ok"}}))}
            ),
            "/api/metrics": _get("Metrics for Prometheus", {"200": _answer("Its text format", _TEXT, "text/plain")}),
            "/api/openapi.json": _get(
                "This description", {"200": _answer("OpenAPI 3.1", {"type": "object"})} | _errors()
            ),
            "/api/jobs": _get(
                "A page of jobs, newest first",
                {
                    "200": _answer(
                        "The page; `before` is for the next one",
                        _object({"jobs": {"type": "array", "items": job}, "before": _MAYBE_TEXT}),
                    )
                }
                | _errors(422, 503),
                [
                    _parameter("status", _JOB["status"], "Of this status"),
                    _parameter("kind", _TEXT, "Of this kind"),
                    _parameter("user_id", _TEXT, "Of this tenant"),
                    _parameter("correlation_id", _TEXT, "With this correlation id"),
                    _parameter("before", {"type": "string", "format": "uuid"}, "Enqueued before this job"),
                    _parameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}, "At most so many"),
                ],
            ),
            "/api/jobs/{id}": _get(
                "One job, with its attempts", {"200": _answer("The job", job)} | _errors(404, 422, 503), [_ID]
            ),
            "/api/jobs/{id}/artifact": _get(
                "What the job made; ranges are served",
                {
                    "200": _answer("The bytes, of the job's content_type", {}, "*/*"),
                    "206": _answer("The range that was asked for", {}, "*/*"),
                    "416": _answer("There are no such bytes", _ERROR),
                }
                | _errors(404, 422, 503),
                [_ID],
            ),
            "/api/jobs/{id}/cancel": _post("Cancel a job", _object({"id": _TEXT, "cancelled": {"type": "boolean"}})),
            "/api/jobs/{id}/redrive": _post("Put a dead letter back into the queue", _object({"id": _TEXT})),
        },
        "components": {
            "schemas": {
                "Job": {
                    **_object(_JOB),
                    "properties": _JOB | {"attempts_made": {"type": "array", "items": {"type": "object"}}},
                },
                "Health": _object(
                    {
                        "status": {"enum": ["ok", "failed"]},
                        "problems": {"type": "array", "items": _TEXT},
                        "components": {"type": "object", "additionalProperties": _COMPONENT},
                    }
                ),
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": _TEXT, "problems": {"type": "array", "items": _TEXT}},
                },
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
