"""The HTTP face: messages in; statistics, deletion and health for those who may see them.

A message is answered 200 after Redis has acknowledged it, and never before. What cannot be stored is
refused in words, and harms neither the process nor its neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.access import is_allowed
from rfctl.batches import Batches
from rfctl.errors import BadRequestError, KeyTakenError, RfctlError
from rfctl.intake import Intake
from rfctl.keys import name_of
from rfctl.message import Added, tidy_phone
from rfctl.overview import overview
from rfctl.sources import generic

_log = structlog.get_logger("webhook")
BATCHED = "/webhook/whatsapp/batched"
RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in, and how much (bytes)."""

    token: str = ""
    secrets: list[str] = field(default_factory=list)
    max_body_bytes: int = 3_145_728


def wall_clock_ms() -> int:
    """Return this host's time, Unix ms: only the age of a signature goes by it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """The handlers, with what they need."""

    intake: Intake
    batches: Batches
    access: Access
    limits: generic.Limits
    ready: Callable[[], Awaitable[tuple[bool, dict[str, Any]]]]
    expect: Callable[[int], None] = lambda _due_in_ms: None
    now_ms: Callable[[], int] = wall_clock_ms

    def app(self) -> Starlette:
        """Return the ASGI app."""
        return Starlette(
            routes=[
                Route(BATCHED, self.receive, methods=["POST"]),
                Route(BATCHED + "/stats", self.stats, methods=["GET"]),
                Route(BATCHED + "/{phone:path}", self.delete, methods=["DELETE"]),
                Route("/healthz", self.healthz, methods=["GET"]),
                Route("/readyz", self.readyz, methods=["GET"]),
            ],
            exception_handlers={
                BadRequestError: _bad_request,
                RfctlError: _not_now,
                HTTPException: _http_error,
                ClientDisconnect: _gone,
                Exception: _bug,
            },
        )

    async def receive(self, request: Request) -> Response:
        """Take one message or several; answer what became of them."""
        body = await _body(request, self.access.max_body_bytes)
        self._check_signature(request, body)
        messages = generic.messages(body, self.limits)
        results = await self.intake.add(messages)
        refused = [one for one in results if one.refused]
        if refused:
            raise KeyTakenError(f"not every message could be stored: {refused[0].refused}")
        for one in results:
            self.expect(one.due_in_ms)
        return _json(_receipt(results))

    def _check_signature(self, request: Request, body: bytes) -> None:
        if not self.access.secrets:
            return
        headers = dict(request.headers.raw)
        genuine = generic.verify(
            self.access.secrets,
            method=request.method,
            path=request.scope["raw_path"].decode("latin-1"),
            timestamp=headers.get(b"x-timestamp", b""),
            signature=headers.get(b"x-signature", b""),
            body=body,
            now_ms=self.now_ms(),
        )
        if not genuine:
            raise BadRequestError(
                "X-Signature does not match: HMAC-SHA256 hex over METHOD:path:timestamp:body, with X-Timestamp "
                "in ms not older than 5 minutes",
                status=401,
            )

    async def stats(self, request: Request) -> Response:
        """List what is pending."""
        self._check_access(request)
        seen = await overview(self.batches.connection, self.batches.partitions, limit=100)
        listed = [
            {
                "phone": one.phone,
                "size": one.size,
                "lastMessageAge": None if one.last_ms is None else max(0, seen.now_ms - one.last_ms),
            }
            for one in seen.waiting
        ]
        return _json({"success": True, "stats": {"pendingBatches": seen.batches, "batches": listed}})

    async def delete(self, request: Request) -> Response:
        """Clear one batch, and answer with what was in it."""
        self._check_access(request)
        phone = tidy_phone(request.path_params["phone"])
        items = await self.batches.discard(name_of(phone))
        if not items:
            raise BadRequestError(f"{phone} has no batch", status=404)
        _log.warning("batch_discarded", phone=phone, messages=len(items), by="http")
        messages = [msgspec.Raw(item) for item in items]
        return _json({"success": True, "phone": phone, "removed": len(items), "messages": messages})

    def _check_access(self, request: Request) -> None:
        if not is_allowed(request, self.access.token):
            how = (
                "send Authorization: Bearer <http.token>"
                if self.access.token
                else "set http.token to allow it"
            )
            raise BadRequestError(f"this is not served to you: {how}", status=401)

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002
        """Answer that the process lives."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002
        """Answer whether it can do its work, and on which Redis."""
        ready, facts = await self.ready()
        return _json({"status": "ready" if ready else "not ready", **facts}, 200 if ready else 503)


async def _body(request: Request, most: int) -> bytes:
    """Read the body; one that is announced or grows too large is not read on."""
    announced = request.headers.get("content-length", "0")
    too_large = BadRequestError(f"the body is larger than {most} bytes (http.max_body_bytes)", status=413)
    if announced.isdigit() and int(announced) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def _receipt(results: list[Added]) -> dict[str, Any]:
    last = {one.phone: one for one in results}
    return {
        "success": True,
        "addedCount": sum(one.added for one in results),
        "duplicates": sum(not one.added for one in results),
        "batches": [
            {"phone": one.phone, "size": one.size, "dueInMs": one.due_in_ms} for one in last.values()
        ],
    }


_encode = msgspec.json.Encoder().encode


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(content), status, headers, "application/json")


def _refusal(fact: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return _json({"success": False, "error": fact}, status, headers)


async def _bad_request(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, BadRequestError)  # noqa: S101 - starlette's handlers are typed for any
    _log.info("request_refused", status=problem.status, path=request.url.path, problem=problem.fact)
    headers = {"Connection": "close"} if problem.status == 413 else None
    return _refusal(problem.fact, problem.status, headers)


async def _not_now(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RfctlError)  # noqa: S101
    _log.error("request_not_stored", path=request.url.path, problem=problem.fact)
    fact = "Redis cannot take this now; nothing was acknowledged, send it again"
    return _refusal(fact, 503, {"Retry-After": RETRY_AFTER_S})


async def _http_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101
    told = {405: f"{request.method} is not served here", 404: f"there is nothing at {request.url.path}"}
    fact = told.get(problem.status_code, problem.detail)
    return _refusal(fact, problem.status_code, dict(problem.headers or {}))


async def _gone(request: Request, problem: Exception) -> Response:  # noqa: ARG001
    _log.info("client_gone_before_its_body", path=request.url.path)
    return _refusal("the body did not come", 400)


async def _bug(request: Request, problem: Exception) -> Response:
    _log.error("bug", path=request.url.path, problem=repr(problem))
    return _refusal("a bug in rfctl: see its log", 500)
