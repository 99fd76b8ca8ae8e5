"""The receiver: a provider's request is verified, parsed, stored and only then answered.

The raw bytes are verified before anything is parsed. The unparsed part of an authentic request goes to quarantine, and
the answer is 200: else the provider would send it again for days. If Redis fails, the answer is 503: send it again.
The body of an answer is empty, since a provider may execute it (Telegram does). Only a generic source is answered in
words: its caller is the operator's own code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rfctl.errors import KeyTakenError
from rfctl.ingest.access import Gate
from rfctl.ingest.bodies import SMALL_BYTES, BodyBudget, HeldBody
from rfctl.ingest.encodings import CONTENT_ENCODING, check_encoding
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.head import Head, read_head
from rfctl.ingest.opening import BOM, open_body
from rfctl.ingest.reader import MoveAliases, Reader, find_rejection
from rfctl.ingest.receipt import DONE, build_answer
from rfctl.ingest.reception import AwaitedReception, Reception, begin_span
from rfctl.ingest.rejections import RejectedError, Rejections
from rfctl.ingest.responses import STOPPING, Answer, make_text_answer
from rfctl.model.message import Unparsed
from rfctl.model.stored import Added
from rfctl.sources.contract import ParseResult, Reply, ServedSource
from rfctl.sources.registry import GENERIC
from rfctl.store import RecentRequests, UnknownPath
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine

if TYPE_CHECKING:
    from rfctl.observe.tracing import Tracing

_log = structlog.get_logger("ingest")


def read_wall_clock_ms() -> int:
    """Return this host's time, Unix ms. Only the age of a signature is measured by it."""
    return time.time_ns() // 1_000_000


class Receiver:
    """Receives requests for the `sources`, by name. `on_due` is called with the ms until a message's batch is due.

    `max_body_bytes` bounds a body, and `max_inflight_bytes` all bodies in hand. `gate` knows this machine.
    """

    def __init__(
        self,
        sources: Mapping[str, ServedSource],
        group_commit: GroupCommit,
        quarantine: Quarantine,
        counters: Counters,
        *,
        placeholder: str = "[{type}]",
        max_body_bytes: int = 3_145_728,
        max_inflight_bytes: int = 41_943_040,
        gate: Gate | None = None,
        move_aliases: MoveAliases | None = None,
        on_due: Callable[[int], None] = lambda _due_in_ms: None,
        now_ms: Callable[[], int] = read_wall_clock_ms,
    ) -> None:
        self.sources = sources
        self.group_commit = group_commit
        self._counters = counters
        self._reader = Reader(group_commit.add, quarantine, counters, placeholder)
        self.rejections = Rejections(counters)
        self.gate = gate or Gate()
        self._max_body_bytes = max_body_bytes
        self.budget = BodyBudget(max_inflight_bytes)
        """Room for the bodies in hand. Whoever brings a small body takes it and gives it back; `receive` does so itself."""
        self.tracing: Tracing | None = None
        """What writes a span of each request, where that is on."""
        self.invalid_traces = 0
        """Requests whose `traceparent` was not kept, since it is not valid."""
        self._move_aliases = move_aliases
        self._on_due = on_due
        self._now_ms = now_ms

    def reconfigure(self, sources: Mapping[str, ServedSource], placeholder: str) -> None:
        """Serve other sources, and use another placeholder, from now on."""
        self.sources = sources
        self._reader.reconfigure(placeholder)
        self.rejections.begin_anew()

    def read_recent_requests(self) -> dict[str, RecentRequests]:
        """Return how the sources did lately, each with its type."""
        return {
            name: self._describe(self.sources[name], requests)
            for name, requests in self.rejections.tally.read().items()
            if name in self.sources
        }

    def _describe(self, served: ServedSource, requests: RecentRequests) -> RecentRequests:
        fault = self.rejections.proof_faults.get(served.name, "")
        return msgspec.structs.replace(
            requests, type=served.type, proof_fault=fault, has_own_proof=served.has_own_proof
        )

    def list_unknown_paths(self) -> tuple[UnknownPath, ...]:
        """Return the addresses by which somebody meant a source that is not there."""
        return self.rejections.unknown_paths.list_meant(self.sources)

    async def receive(self, name: str, http: HttpRequest) -> Response:
        """Receive a request of the ASGI app, and wait for its answer. Raises RejectedError before the body is read."""
        head = read_head(http.scope)
        served = self._admit(name, head)
        is_packed = check_encoding(head, served.name)
        request = AwaitedReception(served, head, future=asyncio.get_running_loop().create_future())
        with HeldBody(http, self.budget, self._find_max_bytes(served), served.name) as held:
            # No variable has the body: while Redis is slow, many wait here, and their bodies would be there twice.
            task = self.begin(
                request,
                held.unpack(await held.read(), self._max_body_bytes) if is_packed else await held.read(),
            )
            try:
                return (await request.future).build_response()
            finally:
                if task is not None:
                    task.cancel()

    def find_served(self, name: str, head: Head, size: int) -> ServedSource | None:
        """Return the source that serves a request with a small body of `size` bytes.

        Returns None for a request that has to be rejected, or whose body is not small: `receive` does the rest. The same
        head has the same outcome, as long as `sources` are the same.
        """
        served = self.sources.get(name)
        if served is None or size > min(SMALL_BYTES, self._find_max_bytes(served)):
            return None
        for field, _ in head.fields:
            if field == CONTENT_ENCODING:
                return None
        if not served.verified:
            try:
                self._check_unverified_sender(served, head)
            except RejectedError:
                return None
        return served

    def begin(self, request: Reception, body: bytes) -> asyncio.Task[None] | None:
        """Verify, parse and store a request, whichever way it came. Raises nothing.

        It is answered once, now or later, after every message is stored. A request that has more than messages goes on in a
        task, which is returned: a stop may cancel it, and then the answer says so.
        """
        if self.tracing is not None:
            request = begin_span(self.tracing, request)
        served = request.served
        try:
            if (
                served.verified or served.opens_bodies or body.startswith(BOM)
            ):  # else there is nothing to open
                body = open_body(served, request.head, body, self._now_ms)
            parsed = self._reader.read(served, body)
        except Exception as problem:
            request.answer(self.rejections.answer_problem(problem, request.head.path))
            return None
        if parsed.reply is not None:
            self._answer_handshake(request, parsed.skipped, parsed.reply)
            return None
        if parsed.unparsed or parsed.renamings:
            return asyncio.create_task(self._store_and_quarantine(request, parsed))
        request.skipped = parsed.skipped
        if parsed.messages:
            messages = self._reader.prepare(parsed.messages, self._take_trace(request.head))
            self.group_commit.submit(messages, partial(self._finish, request))
        else:
            self._finish(request, [])
        return None

    def _take_trace(self, head: Head) -> str:
        """Return the trace of a request, and count one that is not valid."""
        trace = head.traceparent
        if head.has_invalid_trace:
            self.invalid_traces += 1
        return trace

    def _answer_handshake(self, request: Reception, skipped: Mapping[str, int], reply: Reply) -> None:
        """Answer a request that wants words, and has no message."""
        self._counters.add({f"skipped:{kind}": count for kind, count in skipped.items()})
        self.rejections.tally.count(request.served.name)
        request.answer(make_text_answer(reply.body, reply.content_type))

    def _finish(self, request: Reception, results: list[Added] | Exception) -> None:
        """Answer a request whose messages are stored, or could not be."""
        try:
            if isinstance(results, Exception):
                raise results
            answer = self._acknowledge(request.served, request.skipped, results)
            self.rejections.tally.count(request.served.name)
        except Exception as problem:
            answer = self.rejections.answer_problem(problem, request.head.path)
        request.answer(answer)

    def _acknowledge(self, served: ServedSource, skipped: Mapping[str, int], results: list[Added]) -> Answer:
        for result in results:
            if result.rejected:
                raise KeyTakenError(find_rejection(results))
            self._on_due(result.due_in_ms)
        if skipped:
            self._counters.add({f"skipped:{kind}": count for kind, count in skipped.items()})
        return build_answer(served, results) if served.in_words or served.answer else DONE

    async def _store_and_quarantine(self, request: Reception, parsed: ParseResult) -> None:
        """Store the messages first: if that fails, all of it comes again, and would be quarantined twice."""
        served, answer = request.served, STOPPING
        try:
            if parsed.renamings and self._move_aliases is not None:
                await self._move_aliases(parsed.renamings)
            results = await self._reader.store(parsed.messages, self._take_trace(request.head))
            acknowledgement = self._acknowledge(served, {}, results)
            await self._quarantine(served, parsed.unparsed)
            self._counters.add({f"skipped:{kind}": count for kind, count in parsed.skipped.items()})
            answer = acknowledgement
            self.rejections.tally.count(served.name)
        except Exception as problem:
            answer = self.rejections.answer_problem(problem, request.head.path)
        finally:
            request.answer(answer)

    def _admit(self, name: str, head: Head) -> ServedSource:
        served = self._find_source(name)
        if not served.verified:
            self._check_unverified_sender(served, head)
        return served

    def _find_max_bytes(self, served: ServedSource) -> int:
        return max(served.max_body_bytes, self._max_body_bytes)

    async def handshake(self, name: str, http: HttpRequest) -> Response:
        """Answer a provider's handshake, a GET. Raises BadRequestError.

        A HEAD asks whether the address is there, as edna does before it takes it. Its answer says no more than that.
        """
        served = self._find_source(name)
        if http.method == "HEAD":
            return Response()
        if not served.handshake_hint:
            fact = f"source {name} takes requests by POST, and answers no GET"
            raise RejectedError(fact, 403, "method", source=name)
        answer = served.source.handshake(read_head(http.scope).build_request(b""))
        if answer is None:
            self.rejections.record(
                "handshake",
                "the handshake names another verify token",
                source=name,
                next=served.handshake_hint,
            )
            return Response(status_code=403)
        return Response(answer, media_type="text/plain")

    def _find_source(self, name: str) -> ServedSource:
        served = self.sources.get(name)
        if served is None:
            hint = ": add [sources.generic]" if name == GENERIC else ""
            raise RejectedError(f"there is no source {name}{hint}", 404, "no-source")
        return served

    def _check_unverified_sender(self, served: ServedSource, head: Head) -> None:
        has_type = not served.json_only or _is_json(head.find_value(b"content-type"))
        if has_type and (served.insecure or self.gate.find_doubt(head) is None):
            return
        what, hint = f"source {served.name} has no secret and", f"set sources.{served.name}.secrets"
        if not served.insecure:
            self.gate.check_local(head, what, hint, source=served.name)
        fact = f"{what} takes JSON alone: send Content-Type: application/json, or {hint}"
        raise RejectedError(fact, 415, "content-type", source=served.name, next=hint)

    async def _quarantine(self, served: ServedSource, unparsed: list[Unparsed]) -> None:
        if not unparsed:
            return
        await self._reader.quarantine(served, unparsed)
        self._counters.add({"quarantined": len(unparsed)})
        for part in unparsed:
            _log.warning(
                "request_quarantined", source=served.name, why=part.why, next="rfctl quarantine list"
            )


def _is_json(content_type: bytes) -> bool:
    if content_type == b"application/json":
        return True
    media_type = content_type.partition(b";")[0].strip().lower()
    is_structured = media_type.startswith(b"application/") and media_type.endswith(b"+json")
    return media_type == b"application/json" or is_structured
