"""Answers as plain values, which any transport can write; every error has the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode
RETRY_AFTER_S = "5"
RETRY: Mapping[str, str] = {"Retry-After": RETRY_AFTER_S}
_LENGTH = b"content-length: %d\r\n"
_LENGTH_AND_TYPE = _LENGTH + b"content-type: application/json\r\n"
_TEXT = "text/plain; charset=utf-8"
_NO_SNIFFING: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Answer(msgspec.Struct, frozen=True):
    """The answer to one request. `headers` are fields besides its length. The body is JSON, unless they name its type."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = _NO_HEADERS

    def render_fields(self) -> bytes:
        """Return the lines of the header, in the order in which they are sent."""
        is_json = self.body and "Content-Type" not in self.headers
        lines = (_LENGTH_AND_TYPE if is_json else _LENGTH) % len(self.body)
        if self.headers:
            more = (f"{name.lower()}: {value}\r\n".encode("latin-1") for name, value in self.headers.items())
            lines = b"".join(more) + lines
        return lines

    def list_fields(self) -> list[tuple[bytes, bytes]]:
        """Return the same lines as pairs of a name, in lower case, and a value."""
        pairs = (line.partition(b": ") for line in self.render_fields().split(b"\r\n")[:-1])
        return [(name, value) for name, _, value in pairs]

    def build_response(self) -> Response:
        """Return the answer as a response of the ASGI app."""
        response = Response(self.body, self.status)
        response.raw_headers = self.list_fields()
        return response


def make_json_answer(content: Any, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, _encode(content), headers)


def make_text_answer(text: bytes, content_type: str = _TEXT) -> Answer:
    """Return an answer in words that somebody else has chosen: no browser shall take it for a page."""
    return Answer(200, text, {**_NO_SNIFFING, "Content-Type": content_type})


def make_error_answer(fact: str, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> Answer:
    """Return the answer that says why a request failed."""
    return make_json_answer({"success": False, "error": fact}, status, headers)


STOPPING = make_error_answer("the daemon stops; nothing was acknowledged, send it again", 503, RETRY)
"""The answer to a request that a stop cuts short: nothing of it is acknowledged."""


def make_json_response(content: Any, status: int = 200) -> Response:
    """Return a response of the ASGI app in JSON."""
    return make_json_answer(content, status).build_response()
