"""What is seen of a person, and its JSON: pending batches, and where else something of them is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rfctl.model.message import normalize_phone
from rfctl.model.stored import Batch, as_strict_json
from rfctl.observe.person.words import explain_due, hold_as_json, undelivered_as_json
from rfctl.store import DeadLetter, Person, Store
from rfctl.store.holds import Hold
from rfctl.timing import format_rfc3339

_NEVER = "~"
"""Sorts behind every time."""
_BATCH_KEY = re.compile(r"[#&][0-9a-f]{32}")


def is_batch_key(text: str) -> bool:
    """Say whether it is a key that `stats` shows, and no phone."""
    return _BATCH_KEY.fullmatch(text) is not None


def parse_person(text: str) -> str:
    """Return the phone in its normal spelling, or the batch key as it is."""
    return text if is_batch_key(text) else normalize_phone(text)


async def find_batch_keys(store: Store, person: str, chat: str | None) -> list[str]:
    """Return the keys of a person's pending batches, the oldest first; a batch key stands for itself."""
    return [person] if is_batch_key(person) else await store.batches.find_batches(person, chat)


@dataclass(frozen=True, slots=True)
class Sight:
    """A person's pending batches by their keys, and where else something of them is (None: not asked for).

    `holds` keep the person from the bot, with messages or without. `name` is the phone or the batch key that was asked for; `now_ms` is steady Unix ms.
    """

    name: str
    now_ms: int
    batches: Mapping[str, Batch]
    person: Person | None
    holds: Sequence[Hold] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the person is still to come. Somebody may hold them nevertheless."""
        return not self.batches and (self.person is None or self.person.is_nowhere)


async def read_batches(store: Store, name: str, chat: str | None) -> dict[str, Batch]:
    """Return the pending batches of a person, in one chat if it is named, or that of a batch key. Raises RfctlError."""
    batch_keys = await find_batch_keys(store, name, chat)
    batches = {key: await store.batches.peek(key) for key in batch_keys}
    return {key: batch for key, batch in batches.items() if batch is not None}


async def read_holds(store: Store, name: str, chat: str | None, split_by: Sequence[str]) -> list[Hold]:
    """Return what keeps a person from the bot now, in one chat if it is named, or the hold of a batch key."""
    holds = await store.holds.find(name)
    if chat is None or is_batch_key(name):
        return holds
    batch_keys = await store.holds.name_batches(name, split_by, chat=chat)
    return [hold for hold in holds if hold.batch_key in batch_keys]


def sight_as_json(seen: Sight) -> dict[str, Any]:
    """Return each batch, and before them all their messages together, due as the soonest of them."""
    batches = [_batch_as_json(key, batch) for key, batch in seen.batches.items()]
    soonest = min(batches, key=lambda batch: batch["due"] or _NEVER, default={})
    return {
        "phone": next((batch.phone for batch in seen.batches.values()), seen.name),
        "size": sum(batch["size"] for batch in batches),
        "due": soonest.get("due"),
        "due_in_ms": soonest.get("due_in_ms"),
        "why": soonest.get("why"),
        "messages": [raw for batch in batches for raw in batch["messages"]],
        "batches": batches,
        "held": [hold_as_json(hold) for hold in seen.holds],
        **_elsewhere_as_json(seen),
    }


def _elsewhere_as_json(seen: Sight) -> dict[str, Any]:
    if seen.person is None:
        return {"deliveries": [], "unread": [], "dead": [], "complete": True}
    return {
        "deliveries": undelivered_as_json(seen.person.whereabouts.undelivered, seen.now_ms),
        "unread": [
            {"group": message.group, "id": message.id, "state": message.state, "again": message.is_again}
            for message in seen.person.unread
        ],
        "dead": [_letter_as_json(letter) for letter in seen.person.whereabouts.dead],
        "complete": seen.person.complete,
    }


def _batch_as_json(key: str, batch: Batch) -> dict[str, Any]:
    first = batch.messages[0]
    return {
        "batch_key": key,
        "source": first.channel,
        "account": first.account,
        "company": first.companyId,
        "chat": first.chat,
        "size": len(batch.messages),
        "due": format_rfc3339(batch.due_ms),
        "due_in_ms": None if batch.due_ms is None else batch.due_ms - batch.now_ms,
        "why": explain_due(batch),
        "held_until": format_rfc3339(batch.held_until_ms),
        "messages": [msgspec.Raw(as_strict_json(raw)) for raw in batch.raw],
    }


def _letter_as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "since": format_rfc3339(letter.died_ms),
        "sink": letter.sink,
        "message_id": letter.message_id,
        "attempts": len(letter.attempts),
        "last_error": letter.attempts[-1].error if letter.attempts else None,
        "text": letter.entry.merged.text,
    }
