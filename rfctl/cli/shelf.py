"""What `dead` and `quarantine` have in common: list, show, retry and drop what waits for an operator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import typer

from rfctl.cli.arguments import ask, check_id
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.config.loader import Configuration
from rfctl.errors import ANSWER_IS_NO, NothingFoundError, UsageError
from rfctl.store import RedisAddress, Store
from rfctl.text import counted

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Shelf(ABC, Generic[Item, Outcome]):
    """The items of one kind that wait for an operator, and the four commands about them.

    A subclass says how an item is read, tried again, deleted and shown.
    """

    command: str
    noun: str
    place: str
    headings: tuple[str, ...]
    number_column: int
    several_per_id = False
    """Whether one id may name several items: then `show` prints an array."""

    def __init__(self, run: Invocation, address: RedisAddress) -> None:
        self.run = run
        self.address = address

    async def list_newest(self, limit: int) -> None:
        """Print the newest. Raises NothingFoundError if there is none."""
        items = await self.newest(limit)
        if self.run.is_json:
            self.run.out.rows(self.as_json(item) for item in items)
        elif items:
            self.print_table(items)
        if not items:
            raise self._nothing()

    async def show(self, item_id: str) -> None:
        """Print each item of an id in full. Raises NothingFoundError."""
        items = await self._find_all([item_id])
        if not self.run.is_json:
            for item in items:
                self.print_in_full(item)
        elif self.several_per_id:
            self.run.out.rows(self.in_full(item) for item in items)
        else:
            self.run.out.json(self.in_full(items[0]))

    async def retry(self, ids: Sequence[str]) -> int:
        """Retry the items that the ids name; without ids, all. Returns the exit status."""
        outcomes = [await self.try_again(item) async for item in self._choose(ids, to_retry=True)]
        self.print_outcomes(outcomes)
        return ANSWER_IS_NO if any(self.is_left(outcome) for outcome in outcomes) else 0

    async def drop(self, ids: Sequence[str]) -> None:
        """Delete the items that the ids name; without ids, all. Print each at once: this was its last copy."""
        if self.run.is_json:
            with self.run.out.open_array("dropped") as add:
                async for item in self._delete_each(ids):
                    add(self.in_full(item))
            return
        count = 0
        async for item in self._delete_each(ids):
            if count:
                self.run.out.text("")
            self.print_in_full(item)
            count += 1
        self.run.out.note(f"{counted(count, self.noun)} thrown away")

    def print_table(self, items: Sequence[Item], first_heading: str = "id") -> None:
        """Print a line an item."""
        rows = [self.row(item) for item in items]
        right = frozenset({self.number_column})
        self.run.out.table((first_heading, *self.headings[1:]), rows, right=right)

    async def _delete_each(self, ids: Sequence[str]) -> AsyncIterator[Item]:
        async for item in self._choose(ids):
            if await self.delete(item):
                yield item

    async def _choose(self, ids: Sequence[str], *, to_retry: bool = False) -> AsyncIterator[Item]:
        """Yield the items that the ids name, without ids all, one by one: a body may have megabytes.

        Raises NothingFoundError before anything is done.
        """
        if ids:
            items = await self._find_all(ids)
            if to_retry:
                self.check_retry(items)
            for item in items:
                yield item
            return
        is_empty = True
        async for item in self.each():
            is_empty = False
            yield item
        if is_empty:
            raise self._nothing()

    async def _find_all(self, ids: Sequence[str]) -> list[Item]:
        matches = {item_id: await self.find(item_id) for item_id in ids}
        if missing := [item_id for item_id, items in matches.items() if not items]:
            raise NothingFoundError(
                f"not {self.place} of {self.address.shown()}: {', '.join(missing)}",
                set_by=self.address.set_by,
                next=f"rfctl {self.command} list",
            )
        items = [item for items in matches.values() for item in items]
        return list({self.as_json(item)["id"]: item for item in items}.values())

    def _nothing(self) -> NothingFoundError:
        return NothingFoundError(f"{self.empty()} {self.address.shown()}", set_by=self.address.set_by)

    @abstractmethod
    def empty(self) -> str:
        """Return the fact to report if there is none; the address follows."""

    @abstractmethod
    async def newest(self, limit: int) -> Sequence[Item]:
        """Return the newest, the newest last."""

    @abstractmethod
    async def find(self, item_id: str) -> Sequence[Item]:
        """Return those that an id names. Raises UsageError if the id is ambiguous."""

    @abstractmethod
    def each(self) -> AsyncIterator[Item]:
        """Yield all that are there now."""

    @abstractmethod
    async def try_again(self, item: Item) -> Outcome:
        """Try again with one item."""

    def check_retry(self, items: Sequence[Item]) -> None:
        """Refuse a retry of items that the operator named, before anything is done. Raises RfctlError."""

    @abstractmethod
    def is_left(self, outcome: Outcome) -> bool:
        """Say whether the item is still there: it could not be tried, or did not succeed."""

    @abstractmethod
    def print_outcomes(self, outcomes: list[Outcome]) -> None:
        """Print the outcomes of the retries."""

    @abstractmethod
    async def delete(self, item: Item) -> bool:
        """Delete one item; says whether it was there."""

    @abstractmethod
    def as_json(self, item: Item) -> dict[str, Any]:
        """Return an item for the list; its `id` is unique."""

    @abstractmethod
    def in_full(self, item: Item) -> dict[str, Any]:
        """Return all of an item."""

    @abstractmethod
    def row(self, item: Item) -> tuple[str, ...]:
        """Return an item for the table."""

    @abstractmethod
    def print_in_full(self, item: Item) -> None:
        """Print all of an item for a person."""


AnyShelf = TypeVar("AnyShelf", bound=Shelf[Any, Any])


def run_on_shelf(
    ctx: typer.Context,
    build: Callable[[Invocation, Store, Configuration], AnyShelf],
    action: Callable[[AnyShelf], Awaitable[int | None]],
) -> None:
    """Open the store, build the shelf and run one command on it."""

    async def work() -> int | None:
        run = invocation(ctx)
        async with run.store() as (store, configuration):
            return await action(build(run, store, configuration))

    run_async(work())


def check_ids_or_all(ids: list[str] | None, *, every: bool, command: str) -> list[str]:
    """Take either ids or --all. Returns the ids, none for --all. Raises UsageError."""
    if bool(ids) == every:
        raise UsageError("name ids, or --all", next=f"rfctl {command} list shows them")
    return [check_id(item_id) for item_id in ids or []]


def ask_for_all(what: str, *, every: bool, yes: bool) -> None:
    """Ask before something is done to all of them. Raises UsageError off a terminal, Abort for a no."""
    if every:
        ask(what, yes=yes)
