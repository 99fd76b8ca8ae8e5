"""The hot path: a message that comes in is answered from the callbacks of its connection.

The app is right for everything, and dear: a task, a scope, middlewares and two writes a request cost several times what
the message itself does. So a POST to a source goes from the parser to the receiver, and its answer is one write.
There is no task, no future and no timer of its own; the one deadline of the connection and the one of the group commit
are enough. A client sends the same head again and again: what was read out of it is known then, by its bytes.

- Only what is plain comes here: a whole length, a small body, a path without escapes, and nobody before it in hand.
  All else goes to the app, also what is rejected before its body is read: it takes the same receiver, which decides.
- So both ways give the same bytes, counts and log lines. A property test holds it.
- What the other parts of a connection promise stays in `Protocol`: bounds, deadlines, order, and the stop.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any, cast

from rfctl.daemon.http_answers import AnswerWriter
from rfctl.daemon.http_bounds import Limits, OnReject
from rfctl.daemon.http_heads import Heads, Route
from rfctl.daemon.http_protocol import END, KEEP_ALIVE_S, LARGE_READ, SMALL_READ, Protocol
from rfctl.ingest.head import Head
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.reception import Reception
from rfctl.ingest.rejections import Reason
from rfctl.ingest.responses import STOPPING, Answer
from rfctl.sources.generic.node_form import BATCHED
from rfctl.sources.registry import GENERIC

_TARGET = re.compile(rb'(/webhook/([\w.~-]+)(?:/[!-"$&->@-~]*)?)(?:\?([!-"$-~]*))?')
"""A target that means the same to everybody: no host, no escape in its path, and no fragment."""


@lru_cache(64)
def _read_target(url: bytes) -> tuple[str, str, str] | None:
    """Return the path, the query and the name of the source, or None when this is no plain target of a source."""
    target = _TARGET.fullmatch(url)
    if target is None:
        return None
    path, name, query = (part.decode() for part in target.groups(b""))
    return path, query, GENERIC if path == BATCHED else name


class HotRequest(Reception, eq=False, kw_only=True):
    """A request on the hot path, from its head to its answer. `size` is that of its body, in bytes."""

    connection: HotProtocol
    size: int
    can_stay: bool
    body: bytes | bytearray = b""

    def answer(self, answer: Answer) -> None:
        """Answer the request, whose body has left its room, unless the client is gone, or has an answer."""
        connection = self.connection
        connection.receiver.budget.give_back(self.size)
        if connection.request is self:
            connection.write_answer(self, answer)


class HotProtocol(Protocol):
    """One connection that answers messages itself. `make_protocol` returns it with what all of a server share."""

    receiver: Receiver
    writer: AnswerWriter
    heads: Heads

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._coming: HotRequest | None = None
        self.request: HotRequest | None = None
        self._leaving: asyncio.Future[None] | None = None
        self._peer = ""
        self._new_head = b""
        """The head at the start of this read, when it may become a known one."""
        self._is_between = False
        """Whether nothing has come since the last message, so that the next read begins with a head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve, unless there are too many connections."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self._is_between = not self._is_rejected

    def buffer_updated(self, nbytes: int) -> None:
        """Take a request that came in one read and has a known head. All else is parsed."""
        if not self._is_between or self.flow.write_paused:
            super().buffer_updated(nbytes)
            return
        self._is_between = False
        head, end, body = self.small[:nbytes].tobytes().partition(END)
        if end:
            route, receiver = self.heads.routes.get(head), self.receiver
            if route is None or route.sources is not receiver.sources or route.head.peer != self._peer:
                route = self._judge_shape(head, len(body))
            if route is not None and route.size == len(body) and receiver.budget.take(route.size):
                self._hand_over(self._build_request(route), body)
                return
        self._new_head = head if end else b""
        super().buffer_updated(nbytes)
        self._new_head = b""

    def _judge_shape(self, raw: bytes, size: int) -> Route | None:
        """Say what is known of a head whose shape is known; None when it is to be parsed."""
        for shape in self.heads.find_alike(raw):
            head, receiver = shape.read(raw, size, self._peer), self.receiver
            if head is not None:
                served = receiver.find_served(shape.first.served.name, head, size)
                if served is None or not served.verified:
                    return None
                route = Route(served, head, size, shape.first.can_stay, receiver.sources)
                if len(shape.differing) == 1:  # the length alone: just this head may come again
                    self.heads.keep(raw, route)
                return route
        return None

    def _build_request(self, route: Route) -> HotRequest:
        can_stay = route.can_stay and self.stays
        return HotRequest(route.served, route.head, connection=self, size=route.size, can_stay=can_stay)

    def _begin_request(self) -> None:
        """Take the request whose header is complete, or leave it to the app."""
        route = self._judge_head()
        if route is not None and self._new_head:
            self.heads.keep(self._new_head, route)
            self.heads.keep_shape(self._new_head, route)
        self._new_head = b""
        if route is not None and self.receiver.budget.take(route.size):
            self._coming = self._build_request(route)
        else:
            self._coming = None
            super()._begin_request()

    def _judge_head(self) -> Route | None:
        """Say what is known of this head now, or return None: then it is the app's."""
        size, parser = self._length, self.parser
        if size is None or self.expect_100_continue or self._is_raw or parser.get_method() != b"POST":
            return None
        target = _read_target(self.url)
        if target is None:
            return None
        path, query, name = target
        version, receiver = parser.get_http_version(), self.receiver
        head = Head("POST", path, path, query, version, self.headers, self._peer)
        served = receiver.find_served(name, head, size)
        if served is None:
            return None
        can_stay = version != "1.0" and parser.should_keep_alive()
        return Route(served, head, size, can_stay, receiver.sources)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body. It nearly always is all of it."""
        request = self._coming
        if request is None:
            super().on_body(body)
            return
        self._body_left -= len(body)
        if request.body:
            request.body = bytearray(request.body) if isinstance(request.body, bytes) else request.body
            request.body += body
        else:
            request.body = body

    def on_message_complete(self) -> None:
        """Hand the request to the receiver."""
        request, self._coming = self._coming, None
        if request is None:
            super().on_message_complete()
            return
        self._header_bytes = self._body_left = 0
        self._in_message = self._in_body = False
        body, request.body = request.body, b""
        self._hand_over(request, bytes(body))

    def _hand_over(self, request: HotRequest, body: bytes) -> None:
        self.request, self._in_hand = request, True
        self._deadline.until = None
        task = self.receiver.begin(request, body)
        if task is not None:  # a stop waits for it, and then cancels it
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def write_answer(self, request: HotRequest, answer: Answer) -> None:
        """Write an answer, and go on with the next request."""
        self._in_hand, self.request = False, None
        can_stay = request.can_stay
        self.transport.write(self.writer.render(answer, self.server_state.default_headers, can_stay=can_stay))
        if not can_stay:
            self.transport.close()
        if self._leaving is not None:
            self._end_leave()
        flow = self.flow
        if (
            self._rest
            or self._is_feeding
            or flow.write_paused
            or flow.read_paused
            or self.transport.is_closing()
        ):
            self.on_response_complete()
        else:
            self._is_between = True
            self._deadline.set(KEEP_ALIVE_S)

    def _on_late(self) -> None:
        if self._coming is not None and self._deadline.why == "body-timeout":
            self._drop_coming("body-timeout")
            self._deadline.why = ""  # it is counted
        super()._on_late()

    def _drop_coming(self, reason: Reason) -> None:
        """Count a request whose body does not come, and let its room go."""
        if self._coming is not None:
            self.receiver.budget.give_back(self._coming.size)
            self.receiver.rejections.record_missing_body(reason, self._coming.head.path)
            self._coming = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is in hand: its messages are stored, and nobody hears the answer."""
        self._drop_coming("disconnected")
        self.request = None
        self._end_leave()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Begin to stop: a request in hand is answered, as the last of its connection."""
        request = self._coming or self.request
        self._is_between = False
        if request is None:
            super().shutdown()
            return
        self._rest = b""
        request.can_stay = False
        # The server waits for it as it waits for the tasks of the app.
        self._leaving = self.loop.create_future()
        self._leaving.add_done_callback(self._leave)
        self.tasks.add(cast("Any", self._leaving))

    def _leave(self, leaving: asyncio.Future[None]) -> None:
        """Have nothing in hand any more. A request whose time is over, at a stop, has not been stored: send it again."""
        self.tasks.discard(cast("Any", leaving))
        if not leaving.cancelled():
            return
        if self._coming is not None:
            self.receiver.budget.give_back(self._coming.size)
            self.request, self._coming = self._coming, None
        if self.request is not None:
            self.write_answer(self.request, STOPPING)

    def _end_leave(self) -> None:
        if self._leaving is not None and not self._leaving.done():
            self._leaving.set_result(None)


def make_protocol(limits: Limits, on_reject: OnReject, receiver: Receiver | None = None) -> type[Protocol]:
    """Return the protocol of one server: its limits, its buffer, and what is called with each rejected request.

    Without a receiver the app answers everything.
    """
    view = memoryview(buffer := bytearray(LARGE_READ))
    members = {
        "limits": limits, "buffer": buffer, "small": view[:SMALL_READ], "large": view,
        "on_reject": staticmethod(on_reject), "receiver": receiver,
        "writer": AnswerWriter(), "heads": Heads(),
    }  # fmt: skip
    return type("Protocol", (Protocol if receiver is None else HotProtocol,), members)
