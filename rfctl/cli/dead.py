"""`rfctl dead`: dead letters, the merged messages that a sink did not take at any attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Yes, check_id, check_is_unique, unknown_sink
from rfctl.cli.context import Invocation
from rfctl.cli.output import format_rfc3339, merged_as_json
from rfctl.cli.shelf import All, Limit, Shelf, ask_for_all, check_ids_or_all, run_on_shelf
from rfctl.config.loader import Configuration
from rfctl.errors import UsageError
from rfctl.model.company import format_company
from rfctl.store import DeadLetter, Store
from rfctl.text import counted

app = typer.Typer(
    help="Dead letters: merged messages that a sink did not take at any attempt.", no_args_is_help=True
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="The id of a dead letter, or of its message.")
]
SinkName = Annotated[str, typer.Option("--sink", help="Only those of this sink.")]


@app.command("list")
def list_(ctx: typer.Context, sink: SinkName = "", limit: Limit = 50) -> None:
    """List the newest dead letters, the newest last.

    Examples:  rfctl dead list  |  rfctl dead list --sink crm --limit 10  |  rfctl dead list -o jsonl | jq .
    """
    run_on_shelf(ctx, _of(sink), lambda letters: letters.list_newest(limit))


@app.command("show")
def show(ctx: typer.Context, message: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show a dead letter and the error of every attempt.

    Examples:  rfctl dead show 1758000000000-0
    """
    letter_id = check_id(message)
    run_on_shelf(ctx, _of(), lambda letters: letters.show(letter_id))


@app.command("retry")
def retry(
    ctx: typer.Context, ids: Ids = None, every: All = False, sink: SinkName = "", yes: Yes = False
) -> None:
    """Send dead letters to their sink again, with a full schedule of attempts.

    Examples:  rfctl dead retry 1758000000000-0  |  rfctl dead retry --all --sink crm --yes
    """
    chosen_ids = _check_choice(ids, every=every, sink=sink, command="retry")
    ask_for_all(f"send {_all_of(sink)} again", every=every, yes=yes)
    run_on_shelf(ctx, _of(sink), lambda letters: letters.retry(chosen_ids))


@app.command("drop")
def drop(
    ctx: typer.Context, ids: Ids = None, every: All = False, sink: SinkName = "", yes: Yes = False
) -> None:
    """Throw dead letters away and print them.

    Examples:  rfctl dead drop 1758000000000-0  |  rfctl dead drop --all --sink crm --yes
    """
    chosen_ids = _check_choice(ids, every=every, sink=sink, command="drop")
    ask_for_all(f"throw {_all_of(sink)} away", every=every, yes=yes)
    run_on_shelf(ctx, _of(sink), lambda letters: letters.drop(chosen_ids))


def _check_choice(ids: list[str] | None, *, every: bool, sink: str, command: str) -> list[str]:
    chosen_ids = check_ids_or_all(ids, every=every, command="dead")
    if sink and not every:
        raise UsageError("--sink goes with --all", next=f"rfctl dead {command} --all --sink {sink}")
    return chosen_ids


def _all_of(sink: str) -> str:
    return f"every dead letter of {sink}" if sink else "every dead letter"


@dataclass(frozen=True, slots=True)
class _Retry:
    """What came of one retry; `gone` is a letter that somebody else took meanwhile."""

    letter: DeadLetter
    outcome: Literal["sent", "gone", "no sink"]


class _DeadShelf(Shelf[DeadLetter, _Retry]):
    """The dead letters, of one sink if it is named."""

    command = "dead"
    noun = "dead letter"
    place = "among the dead letters"
    headings = ("id", "since", "sink", "message id", "phone", "attempts", "last error", "message")
    number_column = 5
    several_per_id = True  # a message may be dead for several sinks

    def __init__(self, run: Invocation, store: Store, configuration: Configuration, sink: str) -> None:
        super().__init__(run, store.address)
        self._letters = store.dead_letters
        self._sinks = list_forwarded_sinks(configuration.settings)
        self._sink = sink

    def empty(self) -> str:
        return f"there is no dead letter {f'of sink {self._sink} ' if self._sink else ''}in"

    async def newest(self, limit: int) -> Sequence[DeadLetter]:
        return await self._letters.list_newest(limit, self._sink)

    async def find(self, item_id: str) -> Sequence[DeadLetter]:
        letters = await self._letters.find(item_id)
        check_is_unique(item_id, [letter.message_id for letter in letters])
        return letters

    async def each(self) -> AsyncIterator[DeadLetter]:
        # All are read first: a letter that is sent again may be dead again before the last is read.
        for letter in [letter async for letter in self._letters.iterate(self._sink)]:
            yield letter

    def check_retry(self, items: Sequence[DeadLetter]) -> None:
        for letter in items:
            if letter.sink not in self._sinks:
                raise unknown_sink(letter.sink, self._sinks)

    async def try_again(self, item: DeadLetter) -> _Retry:
        if item.sink not in self._sinks:
            return _Retry(item, "no sink")
        return _Retry(item, "sent" if await self._letters.retry(item) else "gone")

    def is_left(self, outcome: _Retry) -> bool:
        return outcome.outcome == "no sink"

    def print_outcomes(self, outcomes: list[_Retry]) -> None:
        sent = [retry.letter for retry in outcomes if retry.outcome == "sent"]
        left = [retry.letter for retry in outcomes if retry.outcome == "no sink"]
        if self.run.is_json:
            self.run.out.json({"sent_again": [*map(self.as_json, sent)], "left": [*map(self.as_json, left)]})
        elif sent:
            self.print_table(sent, "sent again")
        for sink, count in _count_by_sink(left).items():
            self.run.out.note(f"{counted(count, 'dead letter')} left: there is no sink {sink}")

    async def delete(self, item: DeadLetter) -> bool:
        return await self._letters.drop(item)

    def as_json(self, item: DeadLetter) -> dict[str, Any]:
        merged = item.entry.merged
        return {
            "id": item.id,
            "since": format_rfc3339(item.died_ms),
            "sink": item.sink,
            "message_id": item.message_id,
            "phone": merged.phone,
            "attempts": len(item.attempts),
            "last_error": item.attempts[-1].error if item.attempts else None,
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

    def row(self, item: DeadLetter) -> tuple[str, ...]:
        merged, attempts = item.entry.merged, item.attempts
        return (
            item.id,
            format_rfc3339(item.died_ms) or "",
            item.sink,
            item.message_id,
            merged.phone,
            str(len(attempts)),
            attempts[-1].error if attempts else "",
            merged.text,
        )


def _count_by_sink(letters: Sequence[DeadLetter]) -> Mapping[str, int]:
    names = sorted(letter.sink for letter in letters)
    return {name: names.count(name) for name in names}


def _of(sink: str = "") -> Callable[[Invocation, Store, Configuration], _DeadShelf]:
    return partial(_DeadShelf, sink=sink)
