"""What became of a person's messages: events in the order of time, each with what happens next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rfctl.model.stored import Batch
from rfctl.model.traceparent import list_traceparents
from rfctl.observe.person.outcome import Outcome
from rfctl.observe.person.words import describe_hold, describe_release, dues, hold_as_json
from rfctl.store import (
    DeadLetter,
    History,
    LoggedDelivery,
    QuarantinedHead,
    UndeliveredMessage,
    UnreadMessage,
)
from rfctl.store.holds import Hold
from rfctl.text import counted, duration
from rfctl.timing import format_rfc3339

_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One thing: quarantined, message_dropped, handed_over, sent_again, finished, held or pending."""

    at_ms: int
    event: str
    line: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for -o json."""
        outcomes = [outcome.as_json() for outcome in self.outcomes]
        return {"at": format_rfc3339(self.at_ms), "event": self.event, **self.facts, "outcomes": outcomes}


def build_events(
    history: History | None,
    batches: Mapping[str, Batch],
    why: Mapping[str, str],
    rules: Mapping[str, str],
    sinks: Collection[str],
    now_ms: int,
) -> list[Event]:
    """Return the events of a person, oldest first. `why` says of each batch key why it is due when it is.

    `rules` says by which rule a merged message threw away what was pending before it. `sinks` are those of the
    settings. Without a history, all events are of pending batches.
    """
    events: list[Event] = []
    if history is not None:
        outcomes = _Outcomes(history, rules, sinks, now_ms)
        events += [_quarantined(head) for head in history.quarantined]
        events += outcomes.of_the_stream()
        events += outcomes.of_the_rest()
        events += [_dropped(logged) for logged in history.logged if logged.rule]
    events += [_pending(key, batch, why[key]) for key, batch in batches.items()]
    return sorted(events, key=lambda event: event.at_ms)


def build_holds(holds: Sequence[Hold], now_ms: int) -> list[Event]:
    """Return an event for each hold of a person, at the time when it began."""
    return [_held(hold, now_ms) for hold in holds]


def _held(hold: Hold, now_ms: int) -> Event:
    step = describe_release(hold)
    facts = {**hold_as_json(hold), "next": step}
    line = f"held until {format_rfc3339(hold.until_ms)}, {describe_hold(hold, now_ms)}; {step}"
    return Event(hold.since_ms or now_ms, "held", line, facts)


def _of_worker(message: UnreadMessage) -> Outcome:
    if message.state == "unread":
        return Outcome(message.group, True, "unread", next="a worker reads it next")
    return Outcome(message.group, True, "on_its_way", next="a worker has it, and has not acknowledged it")


def _quarantined(head: QuarantinedHead) -> Event:
    step = f"rfctl quarantine show {head.id}"
    facts = {"id": head.id, "source": head.source, "why": head.why, "next": step}
    line = f"a request of {head.source} that names them could not be parsed: {head.why}; {step}"
    return Event(head.at_ms, "quarantined", line, facts)


def _dropped(logged: LoggedDelivery) -> Event:
    step = f"rfctl config explain rules.{logged.rule}.action"
    line = f"message {logged.id} was dropped by rule {logged.rule}, and went nowhere; {step}"
    return Event(logged.at_ms, "message_dropped", line, {"id": logged.id, "rule": logged.rule, "next": step})


def _pending(key: str, batch: Batch, why: str) -> Event:
    size, due = len(batch.messages), batch.due_ms
    text = " ".join(message.text for message in batch.messages)
    due_in = "in no index" if due is None else f"due {dues(due - batch.now_ms)}"
    last_ms = max(message.receivedAt for message in batch.messages)
    facts = {
        "batch_key": key,
        "count": size,
        "text": text,
        "due": format_rfc3339(due),
        "due_in_ms": None if due is None else due - batch.now_ms,
        "traceparents": list_traceparents(batch.messages),
        "next": why,
    }
    return Event(
        last_ms or batch.now_ms, "pending", f"{counted(size, 'message')} pending, {due_in} ({why}): {_shorten(text)}", facts
    )  # fmt: skip


@dataclass(slots=True)
class _Outcomes:
    """What is known of each message before each reader, by what says most."""

    history: History
    rules: Mapping[str, str]
    sinks: Collection[str]
    now_ms: int
    _shown: set[tuple[str, str]] = field(default_factory=set)

    def of_the_stream(self) -> Iterable[Event]:
        """Yield the messages that are still in the stream."""
        for message in self.history.handed:
            merged = message.merged
            readers = {reader.sink or reader.group: reader for reader in message.readers}
            sinks = [reader.sink for reader in message.readers if reader.sink]
            sinks += [item.sink for item in self._undelivered if item.id == message.id]
            sinks += [letter.sink for letter in self._dead if letter.message_id == message.id]
            outcomes = [self._of_sink(sink, message.id) for sink in dict.fromkeys(sinks)]
            outcomes += [
                self._of_group(name, message.id, reader.state)
                for name, reader in readers.items()
                if not reader.sink
            ]
            rule = self.rules.get(message.id, "")
            dropped = _describe_discarded(merged.discarded, rule)
            line = (
                f"handed over as {message.id}: {merged.count} → 1 ({merged.reason}, waited "
                f"{duration(max(0, merged.waited_ms))}{dropped}): {_shorten(merged.text)}"
            )
            facts = {
                "id": message.id,
                "delivery_id": merged.delivery_id or None,
                "count": merged.count,
                "reason": merged.reason,
                "waited_ms": merged.waited_ms,
                "discarded": merged.discarded,
                "rule": rule or None,
                "traceparents": list(merged.traceparents),
                "text": merged.text,
            }
            yield Event(merged.handed_ms, "handed_over", line, facts, tuple(outcomes))

    def of_the_rest(self) -> Iterable[Event]:
        """Yield what was sent again, is dead or was finished, of messages that are in the stream no more."""
        for message in self._undelivered:
            if (message.sink, message.id) not in self._shown:
                outcome = self._of_sink(message.sink, message.id)
                is_sent_again = message.state == "waiting"
                how = "sent again (it is in the stream no more)" if is_sent_again else "handed over"
                yield Event(
                    _time_of(message.id),
                    "sent_again" if is_sent_again else "handed_over",
                    f"{how} as {message.id}",
                    {"id": message.id},
                    (outcome,),
                )
        for unread in self.history.person.unread:
            if unread.is_again:
                line, facts = f"sent again as {unread.id}: it was a dead letter", {"id": unread.id}
                yield Event(_time_of(unread.id), "sent_again", line, facts, (_of_worker(unread),))
        for letter in self._dead:
            if (letter.sink, letter.message_id) not in self._shown:
                line = f"{letter.message_id}, in the stream no more: {_shorten(letter.entry.merged.text)}"
                facts = {"id": letter.message_id, "text": letter.entry.merged.text}
                outcome = self._of_sink(letter.sink, letter.message_id)
                yield Event(letter.died_ms, "finished", line, facts, (outcome,))
        for logged in reversed(self.history.logged):
            if not logged.rule and (logged.sink, logged.id) not in self._shown:
                line = f"{logged.id}, in the stream no more"
                outcome = self._of_sink(logged.sink, logged.id)
                yield Event(logged.at_ms, "finished", line, {"id": logged.id}, (outcome,))

    @property
    def _undelivered(self) -> Sequence[UndeliveredMessage]:
        return self.history.person.whereabouts.undelivered

    @property
    def _dead(self) -> Sequence[DeadLetter]:
        return self.history.person.whereabouts.dead

    def _of_sink(self, sink: str, message_id: str) -> Outcome:
        self._shown.add((sink, message_id))
        for message in self._undelivered:
            if (message.sink, message.id) == (sink, message_id):
                return self._of_undelivered(message)
        for letter in reversed(self._dead):
            if (letter.sink, letter.message_id) == (sink, message_id):
                return _dead(letter)
        for logged in reversed(self.history.logged):
            if (logged.sink, logged.id) == (sink, message_id):
                return _logged(logged)
        return Outcome(sink, False, "acknowledged")

    def _of_group(self, group: str, message_id: str, state: str) -> Outcome:
        for message in self.history.person.unread:
            if (message.group, message.id, message.is_again) == (group, message_id, False):
                return _of_worker(message)
        return Outcome(group, True, state)

    def _of_undelivered(self, message: UndeliveredMessage) -> Outcome:
        state = {"unread": "unread", "unacknowledged": "on_its_way", "waiting": "waiting"}[message.state]
        behind = self._find_first(message)
        last = message.last
        return Outcome(
            message.sink,
            False,
            state,
            at_ms=None if last is None else last.at_ms,
            attempts=message.attempts or None,
            error="" if last is None else last.error,
            behind=behind,
            next=self._next_of(message, behind),
        )

    def _find_first(self, message: UndeliveredMessage) -> str:
        """Return the message of the same batch key that this one waits behind, "" for none."""
        if message.state != "waiting":
            return ""
        first = next(
            other.id
            for other in self._undelivered
            if (other.sink, other.batch_key, other.state) == (message.sink, message.batch_key, "waiting")
        )
        return "" if first == message.id else first

    def _next_of(self, message: UndeliveredMessage, behind: str) -> str:
        if message.paused is not None:
            return f"the sink is paused ({message.paused.why}): rfctl resume {message.sink}"
        if message.sink not in self.sinks:
            return "no settings here have this sink"
        if behind:
            return f"it goes after {behind}"
        if message.state == "unread":
            return "its turn comes"
        if message.state == "unacknowledged":
            return "an attempt is on its way"
        in_ms = (message.next_retry_ms or 0) - self.now_ms
        return f"attempt {message.attempts + 1} {f'in {duration(in_ms)}' if in_ms > 0 else 'now'}"


def _dead(letter: DeadLetter) -> Outcome:
    error = letter.attempts[-1].error if letter.attempts else ""
    step = f"rfctl dead retry {letter.id}"
    return Outcome(letter.sink, False, "dead", letter.died_ms, len(letter.attempts), error=error, next=step)


def _logged(logged: LoggedDelivery) -> Outcome:
    return Outcome(logged.sink, False, logged.outcome, logged.at_ms, logged.attempts, logged.took_ms)


def _describe_discarded(count: int, rule: str) -> str:
    name = f"rule {rule}" if rule else "a rule"
    return f"; {name} threw {counted(count, 'message')} before it away" if count else ""


def _time_of(message_id: str) -> int:
    return int(message_id.partition("-")[0])


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line[:_SHOWN_CHARS]}{'…' if len(line) > _SHOWN_CHARS else ''}”"
