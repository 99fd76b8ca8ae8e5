"""The head of a request: everything of it that comes before its body, whichever way it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from rfctl.model.traceparent import find_traceparent
from rfctl.sources.contract import Request


class Head(msgspec.Struct):
    """The head of a request as it came. Names in `fields` are in lower case.

    `path` is decoded, `raw_path` and `query` are not. `version` is that of HTTP, such as 1.1. `peer` is the address
    of the client, or "" on a Unix socket. `headers` are the fields as a source sees them, once one has been asked. A head that was
    not parsed has these alone: its source verifies every request, and nobody else asks. `has_invalid_trace` says that it
    names a trace and it is not valid, once `traceparent` was asked.
    """

    method: str
    path: str
    raw_path: str
    query: str
    version: str
    fields: Sequence[tuple[bytes, bytes]]
    peer: str
    headers: Mapping[str, bytes] | None = None
    _traceparent: str | None = None
    has_invalid_trace: bool = False

    @property
    def traceparent(self) -> str:
        """The trace that the request is a part of, or "". A head that is known by its bytes is looked at once."""
        trace = self._traceparent
        if trace is None:
            trace = self._traceparent = self._find_traceparent()
        return trace

    def with_traceparent(self, traceparent: str) -> Head:
        """Return the head as that of a part of another trace."""
        return structs.replace(self, _traceparent=traceparent)

    def _find_traceparent(self) -> str:
        if self.fields:
            values = [value for name, value in self.fields if name == b"traceparent"]
        else:
            value = (self.headers or {}).get("traceparent")  # a head that was not parsed has no name twice
            values = [] if value is None else [value]
        if not values:
            return ""
        trace = find_traceparent(values)
        self.has_invalid_trace = not trace
        return trace

    def find_value(self, name: bytes) -> bytes:
        """Return the first value of a field, or b"" when it was not sent."""
        for field, value in self.fields:
            if field == name:
                return value
        return b""

    def build_request(self, body: bytes) -> Request:
        """Return the request as a source sees it. Of a field that came twice the last value counts."""
        if self.headers is None:
            self.headers = {name.decode("latin-1"): value for name, value in self.fields}
        return Request(self.method, self.raw_path, self.query, self.headers, body)


def read_head(scope: Mapping[str, Any]) -> Head:
    """Return the head of a request of the ASGI app."""
    client = scope.get("client")
    return Head(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        version=scope["http_version"],
        fields=scope["headers"],
        peer=client[0] if client else "",
    )
