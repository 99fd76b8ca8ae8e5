"""One HTTP connection: uvicorn's protocol with bounds, so that no stranger fills the memory or keeps others waiting.

- A connection has one request in hand. What the client sends behind it stays unread, first here (up to one buffer),
  then in the socket. Neither is read on before the client has taken its answer.
- All connections read into one buffer of their server. The parser gets no more than one request of it at a time.
- Headers are bounded in bytes and number, and so are the trailers of a chunked body.
- Each step has a deadline: the header, the body, the answer that the client must take, the next request. It is set
  when a read leaves a request unfinished, and after an answer: a request that comes in one read needs no other.
- A request that is rejected here is answered and counted, and its rest is dropped for a moment. To close at once would
  reset the connection before the client has read why.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rfctl.daemon.deadline import Deadline
from rfctl.daemon.http_bounds import Fault, Limits, OnReject
from rfctl.daemon.http_cycle import Cycle, Flow, build_scope
from rfctl.ingest.app import CUT

SMALL_READ, LARGE_READ = 16_384, 65_536
_UNREAD_BODY = 16_384
"""So much of a body waits here until the app asks for it."""
_UNSENT_ANSWER = 16_384
_MAX_FIELDS = 100
_LINGER_S = 2.0
KEEP_ALIVE_S = 15.0
END = b"\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """One connection, whose requests the app answers. A subclass has the limits and the buffer of one server."""

    limits: Limits
    on_reject: OnReject
    stays = True  # a server that stops sets it: then each answer is the last of its connection
    _length: int | None
    buffer: bytearray
    small: memoryview
    large: memoryview
    flow: Flow

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline = Deadline(self.loop, self._on_late)
        self._header_bytes = self._body_left = 0
        self._in_message = self._in_body = self._has_cycle = self._is_rejected = self._is_raw = False
        self._is_timed = self._is_feeding = self._in_hand = False
        self._fault: Fault | None = None
        self._rest = self._seam = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve, unless there are too many connections."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        transport.set_write_buffer_limits(high=_UNSENT_ANSWER)
        if len(self.connections) > self.limits.connections:
            fault = Fault("connections", 503, "too many connections are open; try again")
            self._is_rejected = True
            self.on_reject(fault.reason, fault.fact, status=fault.status)
            transport.write(fault.build_answer())
            transport.close()
        else:
            self._deadline.set(self.limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was read ahead."""
        self._deadline.close()
        self._rest = b""
        super().connection_lost(exc)

    def _on_late(self) -> None:
        if self._deadline.why == "body-timeout":
            # The app hears that the client is gone, and counts it for this reason.
            cast("dict[str, Any]", self.scope)[CUT] = self._deadline.why
        elif self._deadline.why:
            self.on_reject(self._deadline.why, "the client was too slow, and the connection was closed")
        self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where the next bytes go: the buffer is everybody's, and is empty again before the next read."""
        return self.large if self._body_left > SMALL_READ else self.small

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read, as far as there is nothing in hand."""
        if not self._is_rejected:
            self._feed(self.buffer, nbytes)

    def pause_writing(self) -> None:
        """Wait until the client takes its answers, but not for ever."""
        super().pause_writing()
        self._deadline.set(self.limits.body_s, "answer-timeout")

    def resume_writing(self) -> None:
        """Go on: the client takes its answers. An answer that is not over yet, as a stream, has all the time it needs."""
        super().resume_writing()
        self._deadline.set(KEEP_ALIVE_S)
        self._deadline.until = None if self._in_hand else self._deadline.until
        self._go_on()

    def shutdown(self) -> None:
        """Begin to stop: a request in hand is answered, as the last of its connection."""
        self._rest = b""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._in_message:
            self.transport.abort()
        else:
            self.transport.close()

    def _feed(self, data: bytes | bytearray, size: int) -> None:
        """Parse `size` bytes, a request at a time: each slice ends where a header or a body ends."""
        place, view = 0, memoryview(data)
        self._is_feeding = True  # an answer that is there at once must not begin to parse what follows
        while place < size and not (self._is_rejected or self.transport.is_closing()):
            if self._in_hand or self.flow.write_paused:
                self._rest, self.flow.is_held = bytes(view[place:size]), True
                self.flow.pause_reading()
                break
            end = self._find_end(data, place, size)
            place += self._take_raw(view[place:end]) if self._is_raw else self._parse(view[place:end])
        self._is_feeding = False
        if self._in_message and not (self._is_timed or self._is_rejected):
            self._time_rest()

    def _time_rest(self) -> None:
        """Give the rest of an unfinished request its time."""
        self._is_timed = True
        if self._in_body:
            self._deadline.set(self.limits.body_s, "body-timeout")
        else:
            self._deadline.set(self.limits.header_s, "header-timeout")

    def _find_end(self, data: bytes | bytearray, place: int, size: int) -> int:
        """Return where a slice ends: a header or a body, so that no request begins within it."""
        if self._in_body and self._body_left > 0:
            return min(size, place + self._body_left)
        end = data.find(END, place, size) + len(END)  # so ends a header, and also a chunked body
        is_whole = end >= len(END)
        if self._seam and (at := (self._seam + data[place : min(size, place + 3)]).find(END)) >= 0:
            is_whole, end = True, place + at + len(END) - len(self._seam)  # it began in the read before
        end = end if is_whole else size
        self._seam = b"" if is_whole else (self._seam + data[max(place, end - 3) : end])[-3:]
        self._header_bytes += end - place
        return end

    def _parse(self, part: memoryview) -> int:
        """Parse a part, and return how much of it that was."""
        parsed = len(part)
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade as offer:
            parsed = offer.args[0]  # nobody has to change the protocol: the request is answered as it stands
        except httptools.HttpParserError as problem:
            self._fault = self._fault or Fault(
                "invalid-http", 400, f"this is no valid HTTP request: {problem}"
            )
        if self._fault is None and self._header_bytes > self.limits.header_bytes:
            self._fault = self._build_size_fault()
        if self._fault is not None:
            self._reject(self._fault)
        return parsed

    def _take_raw(self, part: memoryview) -> int:
        """Take a part of the body past the parser, which ends a request with an offer at its header."""
        self.on_body(bytes(part))
        if not self._body_left:
            self._is_raw = False
            self.on_message_complete()
        return len(part)

    def _build_size_fault(self) -> Fault:
        fact = f"the header is larger than {self.limits.header_bytes} bytes (http.max_header_bytes)"
        return Fault("header-too-large", 431, fact)

    def _go_on(self) -> None:
        """Parse what was read ahead, and read on once nothing is left of it."""
        if self._is_feeding:
            return
        rest, self._rest, self.flow.is_held = self._rest, b"", False
        if rest and not self.transport.is_closing() and not self._is_rejected:
            self._feed(rest, len(rest))
        if not (self._rest or self._in_hand or self.flow.write_paused):
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """Begin a request. Its scope is built for the app alone."""
        self._in_message, self._has_cycle, self._is_timed = True, False, False
        self._length = None
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header. Trailers are dropped: nothing reads them."""
        if self._in_body:
            return
        if len(self.headers) >= _MAX_FIELDS:
            self._fault = Fault("header-too-large", 431, f"the header has more than {_MAX_FIELDS} fields")
            return
        name = name.lower()
        if name == b"content-length":
            self._length = self._body_left = int(value)
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the header is rejected."""
        self._in_body, self._is_timed = True, False
        if self._fault is None and self._header_bytes > self.limits.header_bytes:
            self._fault = self._build_size_fault()
        if self._fault is None and self.parser.should_upgrade():
            self._is_raw = self._body_left > 0
            if any(name == b"transfer-encoding" for name, _ in self.headers):
                fact = "a request that offers another protocol must name the length of its body"
                self._fault = Fault("invalid-http", 400, fact)
        if self._fault is None:
            self._header_bytes = 0
            self._begin_request()

    def _begin_request(self) -> None:
        """Start the app for the request whose header is complete."""
        self.scope = build_scope(self)
        self._has_cycle = True
        can_stay = self.scope["http_version"] != "1.0" and self.parser.should_keep_alive()
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            # A client that is not asked for its body may never send it: what follows could be taken for it.
            keep_alive=can_stay and self.stays and not self.expect_100_continue,
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, cast("Any", self.app))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body for the app; only that of a POST is read by it."""
        self._header_bytes = 0
        self._body_left = max(0, self._body_left - len(body))
        if self._fault is not None or self.cycle.response_complete or self.scope["method"] != "POST":
            return
        self.cycle.body += body
        if len(self.cycle.body) > _UNREAD_BODY:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End the request: from here on the app has the time that it needs."""
        if self._is_raw:
            return
        self._header_bytes = self._body_left = 0
        self._in_message = self._in_body = False
        if self._fault is not None:
            return
        if self.cycle.response_complete:
            self._deadline.set(KEEP_ALIVE_S)
            return
        self._deadline.until = None
        self._in_hand = True
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Begin the next request of this connection, or wait for it."""
        self._in_hand = False
        if self.transport.is_closing():
            self._deadline.set(self.limits.body_s, "answer-timeout")
            return
        if not self._in_message and not self.flow.write_paused:
            self._deadline.set(KEEP_ALIVE_S)
        if self._rest or self.flow.read_paused:
            self._go_on()

    def _reject(self, fault: Fault) -> None:
        """Answer a request that no app sees, and drop what follows until the client has its answer."""
        self._is_rejected = True
        self.on_reject(fault.reason, fault.fact, status=fault.status)
        cycle = self.cycle
        if self._has_cycle and not cycle.response_complete:
            cast("dict[str, Any]", cycle.scope)[CUT] = ""
            cycle.disconnected = True
            cycle.message_event.set()
        if self._has_cycle and cycle.response_started:
            self.transport.abort()  # an answer would come behind that of the app
            return
        self.transport.write(fault.build_answer())
        self.transport.write_eof()
        self.flow.is_held = False
        self.flow.resume_reading()
        self._deadline.set(_LINGER_S)
