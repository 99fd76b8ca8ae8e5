"""The HTTP app: its routes, the statistics and deletion of batches, health, and the answers to failures."""

from __future__ import annotations

from collections.abc import Callable
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
from rfctl.ingest.access import is_allowed, is_local
from rfctl.ingest.receiver import Receiver, SignatureRejectedError
from rfctl.ingest.responses import make_error_response, make_json_response
from rfctl.model.message import normalize_phone
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store import Store

_log = structlog.get_logger("ingest")
RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The HTTP endpoints. `admin_token` opens the statistics and the deletion of batches.

    `check_readiness` returns the word why the daemon cannot do its work ("" if it can), and facts about it that are for
    this machine or the bearer of the token alone.
    """

    receiver: Receiver
    store: Store
    admin_token: str
    check_readiness: Callable[[], tuple[str, dict[str, Any]]]

    def create_app(self) -> Starlette:
        """Return the ASGI app."""
        return Starlette(
            routes=[
                Route(BATCHED, self.receive_generic, methods=["POST"]),
                Route(BATCHED + "/stats", self.list_pending, methods=["GET"]),
                Route(BATCHED + "/{phone:path}", self.discard_batches, methods=["DELETE"]),
                Route("/webhook/{name}", self.receive, methods=["POST"]),
                Route("/webhook/{name}", self.answer_handshake, methods=["GET"]),
                Route("/webhook/{name}/{event:path}", self.receive, methods=["POST"]),
                Route("/healthz", self.report_health, methods=["GET"]),
                Route("/readyz", self.report_readiness, methods=["GET"]),
            ],
            exception_handlers={
                BadRequestError: _answer_bad_request,
                RfctlError: _answer_unavailable,
                HTTPException: _answer_http_error,
                ClientDisconnect: _answer_disconnected,
                Exception: _answer_crash,
            },
        )

    async def receive_generic(self, request: Request) -> Response:
        """Receive messages of the source generic at its second address."""
        return await self.receiver.receive("generic", request)

    async def receive(self, request: Request) -> Response:
        """Receive a provider's request; some providers append the event's name to the path."""
        return await self.receiver.receive(request.path_params["name"], request)

    async def answer_handshake(self, request: Request) -> Response:
        """Answer a provider's handshake."""
        return await self.receiver.handshake(request.path_params["name"], request)

    async def list_pending(self, request: Request) -> Response:
        """Answer with the pending batches that are due next."""
        self._check_access(request)
        pending = await self.store.pending(limit=100)
        batches = [
            {
                "phone": batch.phone,
                "size": batch.size,
                "lastMessageAge": None if batch.last_ms is None else max(0, pending.now_ms - batch.last_ms),
            }
            for batch in pending.next_due
        ]
        return make_json_response(
            {"success": True, "stats": {"pendingBatches": pending.batches, "batches": batches}}
        )

    async def discard_batches(self, request: Request) -> Response:
        """Discard every batch of a phone, and answer with their messages."""
        self._check_access(request)
        phone = normalize_phone(request.path_params["phone"])
        batch_keys = await self.store.batches.find_batches(phone)
        items = [item for key in batch_keys for item in await self.store.batches.discard(key)]
        if not items:
            raise BadRequestError(f"{phone} has no batch", status=404)
        _log.warning("batch_discarded", phone=phone, messages=len(items), by="http")
        messages = [msgspec.Raw(item) for item in items]
        return make_json_response(
            {"success": True, "phone": phone, "removed": len(items), "messages": messages}
        )

    def _check_access(self, request: Request) -> None:
        if not is_allowed(request, self.admin_token):
            hint = (
                "send Authorization: Bearer <http.admin_token>"
                if self.admin_token
                else "set http.admin_token to allow it"
            )
            raise BadRequestError(f"this is not served to you: {hint}", status=401)

    async def report_health(self, request: Request) -> Response:  # noqa: ARG002
        """Answer that the process is alive."""
        return make_json_response({"status": "ok"})

    async def report_readiness(self, request: Request) -> Response:
        """Answer whether this daemon can do its work; strangers get one word why not, and no fact."""
        reason, facts = self.check_readiness()
        answer = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
        if is_allowed(request, self.admin_token) or is_local(request):
            answer |= facts
        return make_json_response(answer, 503 if reason else 200)


async def _answer_bad_request(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, BadRequestError)  # noqa: S101 - starlette's handlers are typed for any
    _log.info("request_rejected", status=problem.status, path=request.url.path, problem=problem.fact)
    if isinstance(problem, SignatureRejectedError) and not problem.in_words:
        return Response(status_code=problem.status)
    headers = {"Connection": "close"} if problem.status == 413 else None
    return make_error_response(problem.fact, problem.status, headers)


async def _answer_unavailable(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RfctlError)  # noqa: S101
    _log.error("request_deferred", path=request.url.path, problem=problem.fact)
    fact = "Redis cannot take this now; nothing was acknowledged, send it again"
    return make_error_response(fact, 503, {"Retry-After": RETRY_AFTER_S})


async def _answer_http_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101
    facts = {405: f"{request.method} is not served here", 404: f"there is nothing at {request.url.path}"}
    fact = facts.get(problem.status_code, problem.detail)
    return make_error_response(fact, problem.status_code, dict(problem.headers or {}))


async def _answer_disconnected(request: Request, problem: Exception) -> Response:  # noqa: ARG001
    _log.info("client_disconnected", path=request.url.path)
    return make_error_response("the body did not come", 400)


async def _answer_crash(request: Request, problem: Exception) -> Response:
    _log.error("handler_crashed", path=request.url.path, problem=repr(problem))
    return make_error_response("a bug in rfctl: see its log", 500)
