"""The HTTP side: the routes, batches seen and deleted, health, and what a failure is answered with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.errors import BadRequestError, RfctlError
from rfctl.ingest.access import is_allowed
from rfctl.ingest.receiver import NotGenuineError, Receiver
from rfctl.ingest.responses import error_response, json_response
from rfctl.model.message import normalize_phone
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store import Store

_log = structlog.get_logger("ingest")
RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The handlers, with what they need. `admin_token` opens the statistics and the deletion of batches."""

    receiver: Receiver
    store: Store
    admin_token: str
    ready: Callable[[], Awaitable[tuple[bool, dict[str, Any]]]]

    def app(self) -> Starlette:
        """Return the ASGI app."""
        return Starlette(
            routes=[
                Route(BATCHED, self.receive_generic, methods=["POST"]),
                Route(BATCHED + "/stats", self.stats, methods=["GET"]),
                Route(BATCHED + "/{phone:path}", self.delete, methods=["DELETE"]),
                Route("/webhook/{name}", self.receive, methods=["POST"]),
                Route("/webhook/{name}", self.handshake, methods=["GET"]),
                Route("/webhook/{name}/{event:path}", self.receive, methods=["POST"]),
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

    async def receive_generic(self, request: Request) -> Response:
        """Take messages in at the Node service's address."""
        return await self.receiver.receive("generic", request)

    async def receive(self, request: Request) -> Response:
        """Take a provider's request in; some put the event's name behind the address."""
        return await self.receiver.receive(request.path_params["name"], request)

    async def handshake(self, request: Request) -> Response:
        """Answer a provider's handshake."""
        return await self.receiver.handshake(request.path_params["name"], request)

    async def stats(self, request: Request) -> Response:
        """List what is pending."""
        self._check_access(request)
        seen = await self.store.pending(limit=100)
        listed = [
            {
                "phone": one.phone,
                "size": one.size,
                "lastMessageAge": None if one.last_ms is None else max(0, seen.now_ms - one.last_ms),
            }
            for one in seen.next_due
        ]
        return json_response({"success": True, "stats": {"pendingBatches": seen.batches, "batches": listed}})

    async def delete(self, request: Request) -> Response:
        """Clear every batch of a phone, and answer with what was in them."""
        self._check_access(request)
        phone = normalize_phone(request.path_params["phone"])
        names = await self.store.batches.find_batches(phone)
        items = [item for name in names for item in await self.store.batches.discard(name)]
        if not items:
            raise BadRequestError(f"{phone} has no batch", status=404)
        _log.warning("batch_discarded", phone=phone, messages=len(items), by="http")
        messages = [msgspec.Raw(item) for item in items]
        return json_response({"success": True, "phone": phone, "removed": len(items), "messages": messages})

    def _check_access(self, request: Request) -> None:
        if not is_allowed(request, self.admin_token):
            how = (
                "send Authorization: Bearer <http.admin_token>"
                if self.admin_token
                else "set http.admin_token to allow it"
            )
            raise BadRequestError(f"this is not served to you: {how}", status=401)

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002
        """Answer that the process lives."""
        return json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002
        """Answer whether it can do its work, and on which Redis."""
        ready, facts = await self.ready()
        return json_response({"status": "ready" if ready else "not ready", **facts}, 200 if ready else 503)


async def _bad_request(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, BadRequestError)  # noqa: S101 - starlette's handlers are typed for any
    _log.info("request_rejected", status=problem.status, path=request.url.path, problem=problem.fact)
    if isinstance(problem, NotGenuineError) and not problem.in_words:
        return Response(status_code=problem.status)
    headers = {"Connection": "close"} if problem.status == 413 else None
    return error_response(problem.fact, problem.status, headers)


async def _not_now(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RfctlError)  # noqa: S101
    _log.error("request_deferred", path=request.url.path, problem=problem.fact)
    fact = "Redis cannot take this now; nothing was acknowledged, send it again"
    return error_response(fact, 503, {"Retry-After": RETRY_AFTER_S})


async def _http_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101
    told = {405: f"{request.method} is not served here", 404: f"there is nothing at {request.url.path}"}
    fact = told.get(problem.status_code, problem.detail)
    return error_response(fact, problem.status_code, dict(problem.headers or {}))


async def _gone(request: Request, problem: Exception) -> Response:  # noqa: ARG001
    _log.info("client_disconnected", path=request.url.path)
    return error_response("the body did not come", 400)


async def _bug(request: Request, problem: Exception) -> Response:
    _log.error("handler_crashed", path=request.url.path, problem=repr(problem))
    return error_response("a bug in rfctl: see its log", 500)
