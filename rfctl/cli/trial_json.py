"""What `rfctl source try` says with `-o json`: the promise is to add fields, never to rename one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rfctl.batching import Rule
from rfctl.cli.captured import Captured
from rfctl.ingest.trial import Trial, TriedMessage
from rfctl.timing import format_rfc3339


def trial_as_json(request: Captured, trial: Trial) -> dict[str, Any]:
    """Return what would come of one request."""
    skipped = dict(trial.skipped)
    unread = skipped.pop("unread", 0)
    return {
        "line": request.line or None,
        "proof": {
            "holds": None if trial.proof_fault is None else not trial.proof_fault,
            "why": trial.proof_fault or None,
        },
        "rejected": trial.rejected or None,
        "answer": {
            "status": trial.answer.status,
            "body": trial.answer.body.decode(errors="backslashreplace"),
        },
        "handshake": trial.is_handshake,
        "messages": [_message_as_json(tried) for tried in trial.messages],
        "skipped": skipped,
        "unread": unread,
        "unknown_accounts": trial.unknown_accounts,
        "unparsed": [
            {"why": part.why, "body": part.body.decode(errors="backslashreplace")} for part in trial.unparsed
        ],
    }


def _message_as_json(tried: TriedMessage) -> dict[str, Any]:
    message, terms = tried.message, tried.terms
    metadata = msgspec.json.decode(message.metadata, type=dict[str, msgspec.Raw])
    metadata.pop("raw", None)
    return {
        "phone": message.phone,
        "text": message.text,
        "type": message.type,
        "id": message.id,
        "media": list(message.media),
        "company": message.company,
        "platform": message.platform,
        "account": message.account,
        "chat": message.chat,
        "refers": message.refers,
        "album": message.album,
        "sent": format_rfc3339(message.sent_ms),
        "metadata": metadata,
        "batch_key": tried.batch_key,
        "rules": [{"name": rule.name, **dict(list_effects(rule))} for rule in tried.rules],
        "action": terms.action or None,
        "quiet_ms": terms.quiet_ms,
        "max_size": terms.max_size,
        "max_wait_ms": terms.max_wait_ms,
        "due_in_ms": tried.due_in_ms,
    }


def list_effects(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Yield what a rule sets, by the names of its settings."""
    effects = {
        "action": rule.action or None,
        "quiet_ms": rule.quiet_ms,
        "max_size": rule.max_size,
        "max_wait_ms": rule.max_wait_ms,
    }
    yield from ((key, value) for key, value in effects.items() if value is not None)
