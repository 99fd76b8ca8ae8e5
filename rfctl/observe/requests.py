"""Findings about the door: sources whose requests are rejected or go astray, and sources that are open to all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rfctl.observe.examination import Examination
from rfctl.observe.facts import OpenSource
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.store import DaemonRecord, RecentRequests
from rfctl.text import counted, duration

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


_OF_TYPES: Mapping[tuple[str, str], str] = {
    ("twilio", "signature"): (
        "compare sources.{source}.secrets with the account's auth token, and public_url with the address that Twilio calls: "
        "it signs that; a proxy must leave its path and query as they are"
    ),
    ("whatsapp-cloud", "signature"): "sources.{source}.secrets must be the app secret of Meta's app",
    ("telegram", "signature"): "compare sources.{source}.secrets with the secret_token of setWebhook",
    ("waha", "signature"): "compare sources.{source}.secrets with the hmac key of the webhook",
    ("green-api", "signature"): "compare sources.{source}.secrets with the instance's webhookUrlToken",
}
"""What to do about a reason where the source is of this type, and signs what the others do not."""


def find_rejected_requests(daemons: Sequence[DaemonRecord]) -> Iterator[Finding]:
    """Find sources of which every request was rejected since the last good one, or many were lately.

    Many are ten within ten minutes, and a tenth of all at least. It is a warning: strangers may send such requests too.
    """
    for source, parts in sorted(_gather(daemons).items()):
        requests = _sum(parts)
        count, since = sum(requests.rejected.values()), sum(requests.rejected_since.values())
        if not requests.accepted and since >= _FEW:
            yield _describe_course(source, requests)
        elif count >= _FEW and count >= _SHARE * (requests.accepted + count):
            yield _describe_share(source, requests)


def _gather(daemons: Sequence[DaemonRecord]) -> dict[str, list[RecentRequests]]:
    sources: dict[str, list[RecentRequests]] = {}
    for daemon in daemons:
        for source, requests in daemon.recent_requests.items():
            sources.setdefault(source, []).append(requests)
    return sources


def _sum(parts: Sequence[RecentRequests]) -> RecentRequests:
    """Return what all daemons together had of a source."""
    rejected, since = Counter[str](), Counter[str]()
    for part in parts:
        rejected.update(part.rejected)
        since.update(part.rejected_since)
    return RecentRequests(
        sum(part.accepted for part in parts),
        dict(rejected),
        type=parts[0].type,
        accepted_ago_s=min((part.accepted_ago_s for part in parts if part.accepted_ago_s is not None), default=None),
        rejected_since=dict(since),
        proof_fault=next((part.proof_fault for part in parts if part.proof_fault), ""),
        has_own_proof=parts[0].has_own_proof,
    )  # fmt: skip


def _describe_share(source: str, requests: RecentRequests) -> Finding:
    count = sum(requests.rejected.values())
    total = counted(requests.accepted + count, "request")
    fact = f"source {source}: {count} of {total} within 10 min were rejected ({_name(requests.rejected)})"
    return _build(source, fact, requests.rejected, requests)


def _describe_course(source: str, requests: RecentRequests) -> Finding:
    ago = requests.accepted_ago_s
    since = (
        "since the daemon started" if ago is None else f"since the last good one {duration(ago * 1000)} ago"
    )
    count = sum(requests.rejected_since.values())
    fact = f"source {source}: all {count} requests {since} were rejected ({_name(requests.rejected_since)})"
    return _build(source, fact, requests.rejected_since, requests)


def _name(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(reasons).most_common())


def _build(source: str, fact: str, reasons: Mapping[str, int], requests: RecentRequests) -> Finding:
    [(reason, _)] = Counter(reasons).most_common(1)
    own = _OF_TYPES.get((requests.type, reason)) if requests.has_own_proof else None
    fix = own or _FIXES.get(reason, _SEE_LOG)
    if reason == "signature" and requests.proof_fault:
        fact = f"{fact}; of the last one: {requests.proof_fault}"
    return Finding("requests_rejected", "warning", source, fact, fix.format(source=source))


_FEW_PATHS = 3


def find_unknown_paths(daemons: Sequence[DaemonRecord]) -> Iterator[Finding]:
    """Find addresses by which somebody asks again and again for a source that is not there."""
    asked: Counter[tuple[str, str]] = Counter()
    for daemon in daemons:
        for unknown in daemon.unknown_paths:
            asked[unknown.path, unknown.nearest] += unknown.count
    for (path, nearest), count in asked.most_common():
        if count >= _FEW_PATHS:
            hint = f", the nearest source is {nearest}" if nearest else ""
            fact = f"{counted(count, 'request')} to {path}, and no source is there{hint}"
            other = (
                f"let the sender call /webhook/{nearest}" if nearest else "correct the address of the sender"
            )
            fix = f"{other}, or add the source to the settings; if it is a stranger, leave it"
            yield Finding("path_unknown", "warning", path, fact, fix)


def find_open_sources(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    """Find sources that take unverified requests from other machines: those that daemons serve, else those of our settings.

    A daemon may run on other settings than this shell, so where one listens, what it says counts.
    """
    for source in _list_served_open(snapshot, examination):
        fact = (
            f"source {source.name} takes messages from anybody: it has no secrets, insecure = true, and the listener "
            f"{source.listener} is open to others"
        )
        fix = f"set sources.{source.name}.secrets, or http.host = 127.0.0.1"
        yield Finding("source_open", "warning", source.name, fact, fix, source.set_by)


def _list_served_open(snapshot: Snapshot | None, examination: Examination) -> Iterable[OpenSource]:
    ours = {source.name: source for source in examination.open_sources}
    alive = () if snapshot is None else snapshot.daemons
    listening = [daemon for daemon in alive if daemon.is_listening]
    if not listening or any(daemon.open_sources is None for daemon in listening):
        return ours.values()
    shell = examination.shell
    return [
        OpenSource(
            name,
            daemon.listener,
            ours[name].set_by
            if shell and name in ours and shell.settings_hash == daemon.settings_hash
            else "",
        )
        for daemon in listening
        for name in daemon.open_sources or ()
    ]
