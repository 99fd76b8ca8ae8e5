"""The HTTP app: its routes, the statistics and deletion of batches, health, and the answers to failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from rfctl.errors import RfctlError
from rfctl.ingest.bodies import SMALL_BYTES, HeldBody
from rfctl.ingest.head import Head, read_head
from rfctl.ingest.holds import HoldRoutes
from rfctl.ingest.openapi import Part, build_document
from rfctl.ingest.openapi.operations import OPENAPI_PATH
from rfctl.ingest.paths import EVENT, PHONE
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.rejections import Reason, RejectedError, Rejections
from rfctl.ingest.responses import make_error_answer, make_json_response
from rfctl.model.message import normalize_phone
from rfctl.model.stored import as_strict_json
from rfctl.observe.facts.probe import PROBE_PATH
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store import Store

_log = structlog.get_logger("ingest")
CUT = "rfctl.cut"
"""Key of a request's scope. Its value is why the server itself cut the connection; "" when that is counted already."""
_SCRAPE_TIMEOUT = b"x-prometheus-scrape-timeout-seconds"
_SCRAPE_S, _MOST_SCRAPE_S = 5.0, 10.0
_NO_PART = Part()
_SHARE_OF_REDIS = 0.7
"""How much of a scrape's time Redis may take: what the daemon knows of itself comes in time anyway."""
RenderMetrics = Callable[[str, float], Awaitable[tuple[bytes, str]]]
"""Returns the metrics and their content type, by the header Accept and the time that Redis has, s."""


RunProbe = Callable[[Head, bytes], Awaitable[Any]]
"""Sends one message of our own through the daemon, and returns what became of it."""


async def _probe_nothing(head: Head, body: bytes) -> Any:  # noqa: ARG001
    return {}


async def _render_nothing(accept: str, within_s: float) -> tuple[bytes, str]:  # noqa: ARG001
    return b"", "text/plain"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The HTTP endpoints. The receiver's gate opens the statistics and the deletion of batches.

    `check_readiness` returns the word why the daemon cannot do its work ("" if it can), and facts about it that are for
    this machine or the bearer of the token alone. `render_metrics` writes the page for Prometheus, and `run_probe` sends a
    message of our own.
    """

    receiver: Receiver
    store: Store
    check_readiness: Callable[[], tuple[str, dict[str, Any]]]
    render_metrics: RenderMetrics = _render_nothing
    run_probe: RunProbe = _probe_nothing
    list_split_fields: Callable[[], Collection[str]] = frozenset
    """Returns by what batches of a phone are kept apart: batching.split_by."""

    def create_app(self, more_routes: Sequence[Route] = (), part: Part = _NO_PART) -> Starlette:
        """Return the ASGI app, which also has routes of others. `part` describes those."""
        return Starlette(
            routes=[
                *more_routes,
                Route(BATCHED, self.receive_generic, methods=["POST"]),
                Route(BATCHED + "/stats", self.list_pending, methods=["GET"]),
                Route(f"{BATCHED}/{PHONE}", self.discard_batches, methods=["DELETE"]),
                *HoldRoutes(self.store, self.receiver.gate, self.list_split_fields).list_routes(),
                Route("/webhook/{name}", self.receive, methods=["POST"]),
                Route("/webhook/{name}", self.answer_handshake, methods=["GET"]),
                Route("/webhook/{name}/" + EVENT, self.receive, methods=["POST"]),
                Route(OPENAPI_PATH, partial(self.describe, part), methods=["GET"]),
                *self._list_monitor_routes(),
            ],
            exception_handlers=self._list_failure_answers(),
        )

    def create_monitor_app(self) -> Starlette:
        """Return the ASGI app for whoever watches the daemon: it takes no message, and shows none."""
        return Starlette(routes=self._list_monitor_routes(), exception_handlers=self._list_failure_answers())

    def _list_monitor_routes(self) -> list[Route]:
        return [
            Route("/healthz", self.report_health, methods=["GET"]),
            Route("/readyz", self.report_readiness, methods=["GET"]),
            Route("/metrics", self.report_metrics, methods=["GET"]),
            Route(PROBE_PATH, self.probe, methods=["POST"]),
        ]

    def _list_failure_answers(self) -> Mapping[Any, Any]:
        return {
            HTTPException: self._answer_http_error,
            ClientDisconnect: self._answer_disconnected,
            RfctlError: self._answer_problem,
            Exception: self._answer_problem,
        }

    @property
    def rejections(self) -> Rejections:
        """Where rejected requests are counted."""
        return self.receiver.rejections

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
        self.receiver.gate.check_admin(read_head(request.scope))
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
        self.receiver.gate.check_admin(read_head(request.scope))
        phone = normalize_phone(request.path_params["phone"])
        batch_keys = await self.store.batches.find_batches(phone)
        items = [item for key in batch_keys for item in await self.store.batches.discard(key)]
        if not items:
            raise RejectedError(f"{phone} has no batch", 404, "no-batch")
        _log.warning("batch_discarded", phone=phone, messages=len(items), by="http")
        messages = [msgspec.Raw(as_strict_json(item)) for item in items]
        return make_json_response(
            {"success": True, "phone": phone, "removed": len(items), "messages": messages}
        )

    async def describe(self, part: Part, request: Request) -> Response:
        """Answer with the description of all routes: it names the sources, so it is not for everybody."""
        self.receiver.gate.check_admin(read_head(request.scope))
        return make_json_response(build_document(self.receiver.sources, part))

    async def report_health(self, request: Request) -> Response:  # noqa: ARG002
        """Answer that the process is alive."""
        return make_json_response({"status": "ok"})

    async def report_readiness(self, request: Request) -> Response:
        """Answer whether this daemon can do its work; strangers get one word why not, and no fact."""
        reason, facts = self.check_readiness()
        answer = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
        if self.receiver.gate.may_see_facts(read_head(request.scope)):
            answer |= facts
        return make_json_response(answer, 503 if reason else 200)

    async def report_metrics(self, request: Request) -> Response:
        """Answer with the metrics, within the time that the scraper has."""
        head = read_head(request.scope)
        self.receiver.gate.check_metrics(head)
        accept = head.find_value(b"accept").decode("latin-1")
        within_s = _SHARE_OF_REDIS * _read_scrape_s(head.find_value(_SCRAPE_TIMEOUT))
        body, content_type = await self.render_metrics(accept, within_s)
        return Response(body, headers={"content-type": content_type})

    async def probe(self, request: Request) -> Response:
        """Send a message of our own all the way, and answer with what became of it."""
        head = read_head(request.scope)
        self.receiver.gate.check_admin(head)
        with HeldBody(request, self.receiver.budget, SMALL_BYTES, "") as held:
            return make_json_response(await self.run_probe(head, await held.read()))

    async def _answer_problem(self, request: Request, problem: Exception) -> Response:
        return self.rejections.answer_problem(problem, request.scope["path"]).build_response()

    async def _answer_http_error(self, request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)  # noqa: S101 - starlette's handlers are typed for any
        path = request.scope["path"]
        facts = {405: f"{request.method} is not served here", 404: f"there is nothing at {path}"}
        fact = facts.get(problem.status_code, problem.detail)
        reason: Reason = "no-path" if problem.status_code == 404 else "method"
        self.rejections.record(reason, fact, status=problem.status_code, path=path)
        return make_error_answer(fact, problem.status_code, problem.headers or {}).build_response()

    async def _answer_disconnected(self, request: Request, problem: Exception) -> Response:  # noqa: ARG002
        if reason := request.scope.get(CUT, "disconnected"):
            self.rejections.record_missing_body(reason, request.scope["path"])
        return make_error_answer("the body did not come", 400).build_response()


def _read_scrape_s(value: bytes) -> float:
    """Return how long a scraper waits, s."""
    try:
        seconds = float(value)
    except ValueError:
        return _SCRAPE_S
    return min(seconds, _MOST_SCRAPE_S) if seconds > 0 else _SCRAPE_S
