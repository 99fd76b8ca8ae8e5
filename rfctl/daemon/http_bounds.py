"""What a connection may use, and the answer to a request that no app sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from rfctl.ingest.rejections import Reason
from rfctl.ingest.responses import RETRY_AFTER_S

OnReject = Callable[..., None]
"""Called with the reason and the problem of a rejected request, and the fields of its log line."""
_PHRASES = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may use: time for the header, and for the body or for taking an answer (s); header bytes.

    `connections` is how many there may be.
    """

    header_s: float = 5.0
    body_s: float = 10.0
    header_bytes: int = 16_384
    connections: int = 2000


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no app sees a request, and the status of its answer."""

    reason: Reason
    status: int
    fact: str

    def build_answer(self) -> bytes:
        """Return the whole answer."""
        body = json.dumps({"success": False, "error": self.fact}).encode()
        retry = b"retry-after: %b\r\n" % RETRY_AFTER_S.encode() if self.status == 503 else b""
        first = b"HTTP/1.1 %d %b\r\n" % (self.status, _PHRASES[self.status])
        fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
        return b"%b%b%b\r\n%b" % (first, fields, retry, body)
