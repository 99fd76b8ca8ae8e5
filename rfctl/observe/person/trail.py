"""Everything of a person at one moment: where their messages are, what became of each, and what happens next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rfctl.model.stored import Merged
from rfctl.observe.person.events import Event, build_events, build_holds
from rfctl.observe.person.sight import Sight, is_batch_key, read_batches, read_holds, sight_as_json
from rfctl.observe.person.words import explain_due
from rfctl.store import History, Store

FindRule = Callable[[Merged], str]
"""Returns the rule by which a merged message threw away what was pending before it, "" for none."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What is seen of a person, and the events, oldest first. `is_complete`: each stream was searched to its end."""

    sight: Sight
    events: Sequence[Event]
    is_empty: bool
    is_complete: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as `rfctl find -o json` prints it."""
        timeline = [event.as_json() for event in self.events]
        return {**sight_as_json(self.sight), "complete": self.is_complete, "timeline": timeline}


async def follow_trail(
    store: Store,
    name: str,
    chat: str | None,
    *,
    sinks: Collection[str],
    split_by: Sequence[str],
    find_rule: FindRule,
) -> Trail:
    """Return everything of a phone, or the pending messages alone of a batch key or a chat. Raises RfctlError.

    `sinks` are those of the settings, and `split_by` is what keeps batches of a phone apart.
    """
    everywhere = chat is None and not is_batch_key(name)
    batches = await read_batches(store, name, chat)
    history = await store.people.find_history(list(sinks), name, list(batches)) if everywhere else None
    holds = await read_holds(store, name, chat, split_by)
    person = None if history is None else history.person
    sight = Sight(name, await store.now_ms(), batches, person, holds)
    why = {key: explain_due(batch) for key, batch in batches.items()}
    rules = {} if history is None else _find_rules(history, find_rule)
    events = build_events(history, batches, why, rules, sinks, sight.now_ms)
    events += build_holds(sight.holds, sight.now_ms)
    events.sort(key=lambda event: event.at_ms)
    is_empty = sight.is_empty and not holds and (history is None or history.is_empty)
    return Trail(sight, events, is_empty, history is None or history.complete)


def _find_rules(history: History, find_rule: FindRule) -> dict[str, str]:
    """Return the rules that threw away what was pending before a merged message, by the id of that."""
    return {message.id: find_rule(message.merged) for message in history.handed if message.merged.discarded}
