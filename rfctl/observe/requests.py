"""Findings about requests: a source whose requests are rejected, so that its messages never come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rfctl.observe.finding import Finding
from rfctl.store import DaemonRecord
from rfctl.text import counted

_FEW = 10
_SHARE = 0.1
"""Strangers try every address: a few requests are always rejected, and a busy source has more of them."""
_OPEN = "set sources.{source}.secrets, so that requests need not come from this machine"
_FIXES = {
    "signature": "compare sources.{source}.secrets with what the provider signs with",
    "handshake": "compare sources.{source}.verify_token with what the provider has",
    "body-too-large": "if the sender is yours, raise http.max_body_bytes",
    "invalid-body": "the log says what is wrong with the bodies (request_rejected)",
    "method": "let the sender use POST",
    "content-type": _OPEN,
    "not-local": _OPEN,
    "proxied": _OPEN,
    "host": _OPEN,
    "origin": _OPEN,
}
"""What to do about the reason for which most of them were rejected."""
_SEE_LOG = "the log says why (request_rejected)"


def find_rejected_requests(daemons: Sequence[DaemonRecord]) -> Iterator[Finding]:
    """Find the sources of which many requests, and a tenth at least, were rejected within the last ten minutes."""
    accepted: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = {}
    for daemon in daemons:
        for source, requests in daemon.recent_requests.items():
            accepted[source] += requests.accepted
            rejected.setdefault(source, Counter()).update(requests.rejected)
    for source, reasons in sorted(rejected.items()):
        count, total = reasons.total(), accepted[source] + reasons.total()
        if count >= _FEW and count >= _SHARE * total:
            yield _describe(source, reasons, total)


def _describe(source: str, reasons: Counter[str], total: int) -> Finding:
    names = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    requests = counted(total, "request")
    fact = f"source {source}: {reasons.total()} of {requests} within 10 min were rejected ({names})"
    [(reason, _)] = reasons.most_common(1)
    fix = _FIXES.get(reason, _SEE_LOG).format(source=source)
    return Finding("requests_rejected", "warning", source, fact, fix)
