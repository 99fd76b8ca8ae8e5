"""The hot path: a message that comes in is answered from the callbacks of its connection.

The app is right for everything, and dear: a task, a scope, middlewares and two writes a request cost several times what
the message itself does. So a POST to a source goes from the parser to the receiver, and its answer is one write.
There is no task, no future and no timer of its own; the one deadline of the connection and the one of the group commit
are enough.

- Only what is plain comes here: a whole length, a small body, a path without escapes, and nobody before it in hand.
  All else goes to the app, also what is rejected before its body is read: it takes the same receiver, which decides.
- So both ways give the same bytes, counts and log lines. A property test holds it.
- What the other parts of a connection promise stays in `Protocol`: bounds, deadlines, order, and the stop.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from rfctl.daemon.http_bounds import Limits, OnReject
from rfctl.daemon.http_protocol import LARGE_READ, SMALL_READ, Protocol
from rfctl.ingest.head import Head
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.rejections import Reason
from rfctl.ingest.responses import STOPPING, Answer
from rfctl.sources.contract import ServedSource
from rfctl.sources.generic.node_form import BATCHED
from rfctl.sources.registry import GENERIC

_TARGET = re.compile(rb'(/webhook/([\w.~-]+)(?:/[!-"$&->@-~]*)?)(?:\?([!-"$-~]*))?')
"""A target that means the same to everybody: no host, no escape in its path, and no fragment."""


class HotRequest:
    """A request on the hot path, from its head to its answer. `size` is that of its body, in bytes."""

    __slots__ = ("body", "can_stay", "head", "served", "size")

    def __init__(self, served: ServedSource, head: Head, size: int, *, can_stay: bool) -> None:
        self.served = served
        self.head = head
        self.size = size
        self.can_stay = can_stay
        self.body: bytes | bytearray = b""


class HotProtocol(Protocol):
    """One connection that answers messages itself. `make_protocol` returns it with what all of a server share."""

    receiver: Receiver

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._coming: HotRequest | None = None
        self._request: HotRequest | None = None
        self._leaving: asyncio.Future[None] | None = None

    def _begin_request(self) -> None:
        """Take the request whose header is complete, or leave it to the app."""
        self._coming = self._claim()
        if self._coming is None:
            super()._begin_request()

    def _claim(self) -> HotRequest | None:
        size, parser = self._length, self.parser
        if size is None or self.expect_100_continue or self._is_raw or parser.get_method() != b"POST":
            return None
        target = _TARGET.fullmatch(self.url)
        if target is None:
            return None
        raw_path, name, query = target.groups(b"")
        path, version = raw_path.decode(), parser.get_http_version()
        peer = self.client[0] if self.client else ""
        head = Head("POST", path, path, query.decode(), version, self.headers, peer)
        served = self.receiver.claim_place(GENERIC if path == BATCHED else name.decode(), head, size)
        if served is None:
            return None
        return HotRequest(served, head, size, can_stay=version != "1.0" and parser.should_keep_alive())

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
        self._deadline.clear()
        self._request, self._in_hand = request, True
        body, request.body = request.body, b""
        task = self.receiver.begin(
            request.served, request.head, bytes(body), lambda answer: self._answer(request, answer)
        )
        if task is not None:  # a stop waits for it, and then cancels it
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _answer(self, request: HotRequest, answer: Answer) -> None:
        """Answer a request whose body has left its room, unless the client is gone, or has an answer."""
        self.receiver.give_place_back(request.size)
        if request is self._request:
            self._write(request, answer)

    def _write(self, request: HotRequest, answer: Answer) -> None:
        """Write an answer, and go on with the next request."""
        self._in_hand, self._request = False, None
        status, fields = STATUS_LINE[answer.status], answer.render_fields()
        date = b"".join([b"%b: %b\r\n" % field for field in self.server_state.default_headers])
        end = b"\r\n" if request.can_stay else b"connection: close\r\n\r\n"
        self.transport.write(b"%b%b%b%b%b" % (status, date, fields, end, answer.body))
        if not request.can_stay:
            self.transport.close()
        self._end_leave()
        self.on_response_complete()

    def _on_late(self) -> None:
        if self._coming is not None and self._deadline.why == "body-timeout":
            self._drop_coming("body-timeout")
            self._deadline.why = ""  # it is counted
        super()._on_late()

    def _drop_coming(self, reason: Reason) -> None:
        """Count a request whose body does not come, and let its room go."""
        if self._coming is not None:
            self.receiver.give_place_back(self._coming.size)
            self.receiver.rejections.record_missing_body(reason, self._coming.head.path)
            self._coming = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is in hand: its messages are stored, and nobody hears the answer."""
        self._drop_coming("disconnected")
        self._request = None
        self._end_leave()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Begin to stop: a request in hand is answered, as the last of its connection."""
        request = self._coming or self._request
        if request is None:
            super().shutdown()
            return
        self._rest = b""
        request.can_stay = False
        self._leaving = (
            self.loop.create_future()
        )  # the server waits for it as it waits for the tasks of the app
        self._leaving.add_done_callback(self._leave)
        self.tasks.add(cast("Any", self._leaving))

    def _leave(self, leaving: asyncio.Future[None]) -> None:
        """Have nothing in hand any more. A request whose time is over, at a stop, has not been stored: send it again."""
        self.tasks.discard(cast("Any", leaving))
        if not leaving.cancelled():
            return
        if self._coming is not None:
            self.receiver.give_place_back(self._coming.size)
            self._request, self._coming = self._coming, None
        if self._request is not None:
            self._write(self._request, STOPPING)

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
    }  # fmt: skip
    return type("Protocol", (Protocol if receiver is None else HotProtocol,), members)
