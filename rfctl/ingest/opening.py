"""Opens a request: its proof is looked at, and its body becomes what its source parses. Nothing is parsed before the proof."""

from __future__ import annotations

from collections.abc import Callable

from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError
from rfctl.sources.contract import CLOCK_DOUBT, ServedSource

_HOW_TO_SIGN = (
    "X-Signature does not match: HMAC-SHA256 hex over METHOD:path:timestamp:body, with X-Timestamp in ms not older than "
    "5 minutes"
)
_NO_PROOF = "the request does not prove itself as auth of this source says"
BOM = b"\xef\xbb\xbf"
"""What some programs write before UTF-8. No body that a source reads can begin so otherwise."""


def open_body(served: ServedSource, head: Head, body: bytes, read_now_ms: Callable[[], int]) -> bytes:
    """Return the body of an authentic request as its source parses it. Raises RejectedError for any other request."""
    if served.verified:
        request, now_ms = head.build_request(body), read_now_ms()
        if not served.source.verify(request, now_ms):
            raise _build_rejection(served, served.source.explain_rejection(request, now_ms))
    if served.opens_bodies:
        body = served.source.open_body(head.build_request(body))
    return body[len(BOM) :] if body.startswith(BOM) else body


def _build_rejection(served: ServedSource, why: str) -> RejectedError:
    """Return the rejection of a request without proof. The log says `why`, and the caller is not told."""
    fact = f"source {served.name}: {why}"
    step = f"a stranger; or is sources.{served.name}.secrets what the provider signs with?"
    if why.endswith(CLOCK_DOUBT):
        step = "compare this host's clock with another; if it is right, somebody has sent the request again"
    answer = _HOW_TO_SIGN if served.has_own_proof else _NO_PROOF
    return RejectedError(
        fact, 401, "signature", source=served.name, next=step, in_words=served.in_words, answer=answer
    )
