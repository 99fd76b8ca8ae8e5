"""How an operator looks at an overview: in which order, with which phones, and what is chosen. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from rfctl.observe.overview import Overview, SinkRow, WaitingRow

Sort = Literal["due", "size", "waited"]
_ORDERS: dict[Sort, Callable[[WaitingRow], Any]] = {
    "due": lambda row: row.due_in_ms,
    "size": lambda row: -row.size,
    "waited": lambda row: -(row.waited_ms or 0),
}
Choice = tuple[Literal["batch", "sink"], str]
"""What the cursor is on: a batch key, or the name of a sink."""


@dataclass(frozen=True, slots=True)
class View:
    """What an operator has chosen. `cursor` stays on what it is on while the lines around it move."""

    sort: Sort = "due"
    has_whole_phones: bool = False
    is_read_only: bool = False
    cursor: Choice | None = None

    def sort_next(self) -> View:
        """Return the view in the next order."""
        orders = get_args(Sort)
        return replace(self, sort=orders[(orders.index(self.sort) + 1) % len(orders)])

    def list_rows(self, overview: Overview) -> list[WaitingRow]:
        """Return those who wait in the order of the view."""
        return sorted(overview.waiting.rows, key=_ORDERS[self.sort])

    def list_choices(self, overview: Overview) -> list[Choice]:
        """Return what the cursor can be on, from top to bottom."""
        rows: list[Choice] = [("batch", row.batch_key) for row in self.list_rows(overview)]
        return [*rows, *(("sink", sink.name) for sink in overview.sinks)]

    def move(self, overview: Overview, steps: int) -> View:
        """Return the view with the cursor so many lines further down; from nowhere it goes to the first."""
        choices = self.list_choices(overview)
        if not choices:
            return replace(self, cursor=None)
        if self.cursor not in choices:
            return replace(self, cursor=choices[0])
        place = choices.index(self.cursor) + steps
        return replace(self, cursor=choices[max(0, min(len(choices) - 1, place))])

    def follow(self, before: Overview | None, overview: Overview) -> View:
        """Return the view for a new overview: where what was chosen is gone, the next line is chosen, if there is any."""
        if self.cursor is None or before is None:
            return self
        choices = self.list_choices(overview)
        if self.cursor in choices:
            return self
        earlier = self.list_choices(before)
        place = earlier.index(self.cursor) if self.cursor in earlier else 0
        same = [choice for choice in choices if choice[0] == self.cursor[0]] or choices
        return replace(self, cursor=same[min(place, len(same) - 1)] if same else None)

    def find_row(self, overview: Overview) -> WaitingRow | None:
        """Return the batch that is chosen."""
        return next((row for row in overview.waiting.rows if self.cursor == ("batch", row.batch_key)), None)

    def find_sink(self, overview: Overview) -> SinkRow | None:
        """Return the sink that is chosen, or the only one there is."""
        if len(overview.sinks) == 1:
            return overview.sinks[0]
        return next((sink for sink in overview.sinks if self.cursor == ("sink", sink.name)), None)
