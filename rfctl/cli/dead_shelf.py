"""The dead letters as `rfctl dead` shows them: list, show, retry and drop."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import check_is_unique, unknown_sink
from rfctl.cli.context import Invocation
from rfctl.cli.output import merged_as_json
from rfctl.cli.shelf import Shelf
from rfctl.cli.table import open_table
from rfctl.config.loader import Configuration
from rfctl.model.company import format_company
from rfctl.observe.workers import describe_absence
from rfctl.store import DeadLetter, Store
from rfctl.text import counted
from rfctl.timing import format_rfc3339

_SHOWN = 160
AnyDeadShelf = Shelf[DeadLetter, DeadLetter, Any]


@dataclass(frozen=True, slots=True)
class _Retry:
    """What came of one retry; `gone` is a letter that somebody else took meanwhile."""

    letter: DeadLetter
    outcome: Literal["sent", "gone", "no sink"]


class _DeadShelf(Shelf[DeadLetter, DeadLetter, _Retry]):
    """The dead letters, of one sink if it is named."""

    command = "dead"
    noun = "dead letter"
    place = "among the dead letters"
    headings = ("id", "since", "sink", "phone", "attempts", "message id", "last error", "message")
    number_column = 4
    columns_below = 2
    several_per_id = True  # a message may be dead for several sinks

    def __init__(self, run: Invocation, store: Store, configuration: Configuration, sink: str) -> None:
        super().__init__(run, store.address)
        self._letters = store.dead_letters
        self._output = store.output
        self._absences: dict[str, str] = {}
        self._log = store.delivery_log if configuration.settings.delivery_log.max_bytes else None
        self._sinks = list_forwarded_sinks(configuration.settings)
        self._sink = sink

    def empty(self) -> str:
        return f"there is no dead letter {f'of sink {self._sink} ' if self._sink else ''}in"

    async def newest(self, limit: int) -> Sequence[DeadLetter]:
        return await self._letters.list_newest(limit, self._sink)

    async def count(self) -> int:
        if not self._sink:
            return await self._letters.count()
        count = 0
        async for _ in self._letters.iterate(self._sink):
            count += 1
        return count

    async def find_all(self, ids: Sequence[str]) -> Mapping[str, Sequence[DeadLetter]]:
        matches = await self._letters.find_all(ids)
        for item_id, letters in matches.items():
            check_is_unique(item_id, [letter.message_id for letter in letters])
        return matches

    def each(self) -> AsyncIterator[DeadLetter]:
        return self._letters.iterate(self._sink)

    async def read(self, head: DeadLetter) -> DeadLetter | None:
        return await self._letters.read_whole(head)

    def check_retry(self, heads: Sequence[DeadLetter]) -> None:
        for letter in heads:
            if not self._has_reader(letter):
                raise unknown_sink(letter.sink, self._sinks)

    async def try_again(self, head: DeadLetter) -> _Retry:
        letter = await self._letters.read_whole(head)
        if letter is None:
            return _Retry(head, "gone")
        if not self._has_reader(letter):
            return _Retry(letter, "no sink")
        if not await self._letters.retry(letter):
            return _Retry(letter, "gone")
        await self._look_for_worker(letter)
        return _Retry(letter, "sent")

    async def _look_for_worker(self, letter: DeadLetter) -> None:
        """Note why nobody takes a letter soon, where it is for a group of workers."""
        name = letter.group
        if name and name not in self._absences:
            groups = await self._output.groups(letter.shard)
            self._absences[name] = describe_absence([group for group in groups if group.name == name])

    def _has_reader(self, letter: DeadLetter) -> bool:
        """Say whether somebody takes it when it is sent again: a sink of the settings, or a group of workers."""
        return bool(letter.group) or letter.sink in self._sinks

    def is_left(self, outcome: _Retry) -> bool:
        return outcome.outcome == "no sink"

    @contextmanager
    def printing_outcomes(self) -> Iterator[Callable[[_Retry], None]]:
        left: Counter[str] = Counter()
        with self._printing_sent() as add_sent:

            def add(outcome: _Retry) -> None:
                if outcome.outcome != "gone":
                    add_sent(outcome)
                if self.is_left(outcome):
                    left[outcome.letter.sink] += 1

            yield add
        for sink, count in sorted(left.items()):
            self.run.out.note(f"{counted(count, 'dead letter')} left: there is no sink {sink}")
        for group, why in sorted(self._absences.items()):
            if why:
                self.run.out.note(f"group {group}: {why}; what is sent again waits until one is started")

    @contextmanager
    def _printing_sent(self) -> Iterator[Callable[[_Retry], None]]:
        """Print what is sent again at once. In JSON, what is left follows it, without the texts."""
        if not self.run.is_json:
            headings = ("sent again", *self.headings[1:])
            right, below = frozenset({self.number_column}), self.columns_below
            with open_table(self.run.out, headings, right=right, below=below) as add_row:
                yield lambda retry: None if self.is_left(retry) else add_row(self.row(retry.letter))
            return
        left: list[dict[str, Any]] = []
        with self.run.out.open_array("sent_again", lambda: {"left": left}) as add_sent:
            yield (
                lambda retry: (
                    left.append({**self.as_json(retry.letter), "text": None})
                    if self.is_left(retry)
                    else add_sent(self.as_json(retry.letter))
                )
            )

    async def delete(self, item: DeadLetter) -> bool:
        is_there = await self._letters.drop(item)
        if is_there and self._log is not None:
            await self._log.note_dropped(item)
        return is_there

    def as_json(self, head: DeadLetter) -> dict[str, Any]:
        merged = head.entry.merged
        return {
            "id": head.id,
            "since": format_rfc3339(head.died_ms),
            "sink": head.sink,
            "message_id": head.message_id,
            "delivery_id": head.entry.delivery_id,
            "phone": merged.phone,
            "attempts": len(head.attempts),
            "last_error": head.attempts[-1].error if head.attempts else None,
            "text": merged.text,
        }

    def in_full(self, item: DeadLetter) -> dict[str, Any]:
        history = [{"at": format_rfc3339(attempt.at_ms), "error": attempt.error} for attempt in item.attempts]
        return {**self.as_json(item), "history": history, "merged": merged_as_json(item.entry.merged)}

    def print_in_full(self, item: DeadLetter) -> None:
        merged = item.entry.merged
        lines = [
            ("id", item.id),
            ("since", format_rfc3339(item.died_ms) or ""),
            ("sink", item.sink),
            ("message id", item.message_id),
            ("delivery id", item.entry.delivery_id),
            ("phone", merged.phone),
            ("company", format_company(merged.company) or "-"),
            ("source", merged.channel),
            ("reason", f"{merged.reason}, {counted(merged.count, 'message')}"),
            ("message", merged.text),
        ]
        self.run.out.facts(lines)
        rows = [
            (str(place), format_rfc3339(attempt.at_ms) or "", attempt.error)
            for place, attempt in enumerate(item.attempts, 1)
        ]
        self.run.out.table(("attempt", "at", "error"), rows, right=frozenset({0}))

    def row(self, head: DeadLetter) -> tuple[str, ...]:
        merged, attempts = head.entry.merged, head.attempts
        return (
            head.id,
            format_rfc3339(head.died_ms) or "",
            head.sink,
            merged.phone,
            str(len(attempts)),
            head.message_id,
            attempts[-1].error if attempts else "",
            _shorten(merged.text),
        )


def _shorten(text: str) -> str:
    """Return the beginning of a text where a list on a terminal shows it; `dead show` has all of it."""
    return f"{text[:_SHOWN]}…" if sys.stdout.isatty() and len(text) > _SHOWN else text


def choose_dead_letters(sink: str) -> Callable[[Invocation, Store, Configuration], AnyDeadShelf]:
    """Return what builds the shelf of the dead letters, of one sink if it is named."""
    return partial(_DeadShelf, sink=sink)
