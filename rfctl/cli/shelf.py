"""What `dead` and `quarantine` have in common: list, show, retry and drop what waits for an operator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import typer

from rfctl.cli.arguments import ask
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.steps import Steps, counting, passing_over
from rfctl.config.loader import Configuration
from rfctl.errors import ANSWER_IS_NO, NothingFoundError
from rfctl.store import RedisAddress, Store

Head = TypeVar("Head", bound="_Named")
Whole = TypeVar("Whole")
Outcome = TypeVar("Outcome")


class _Named(Protocol):
    @property
    def id(self) -> str: ...


class Shelf(ABC, Generic[Head, Whole, Outcome]):
    """The items of one kind that wait for an operator, and the four commands about them.

    A subclass says how an item is read, tried again, deleted and shown. Its head is what a list shows. The whole may
    have megabytes, so no more than one is in memory.
    """

    command: str
    noun: str
    place: str
    headings: tuple[str, ...]
    number_column: int
    columns_below = 0
    """So many columns, the last ones, stand on lines of their own on a terminal."""
    several_per_id = False
    """Whether one id may name several items: then `show` prints an array."""

    def __init__(self, run: Invocation, address: RedisAddress) -> None:
        self.run = run
        self.address = address

    async def list_newest(self, limit: int) -> None:
        """Print the newest. Raises NothingFoundError if there is none."""
        heads = await self.newest(limit)
        if self.run.is_json:
            self.run.out.rows(self.as_json(head) for head in heads)
        elif heads:
            right = frozenset({self.number_column})
            self.run.out.table(self.headings, map(self.row, heads), right=right, below=self.columns_below)
        if not heads:
            raise self._nothing()

    async def show(self, item_id: str) -> None:
        """Print each item of an id in full. Raises NothingFoundError."""
        wholes = [item async for item in self._read_each(await self._find_all([item_id]))]
        if not wholes:
            raise self._missing([item_id])
        if not self.run.is_json:
            for item in wholes:
                self.print_in_full(item)
        elif self.several_per_id:
            self.run.out.rows(self.in_full(item) for item in wholes)
        else:
            self.run.out.json(self.in_full(wholes[0]))

    async def retry(self, ids: Sequence[str]) -> int:
        """Retry the items that the ids name; without ids, all. Print each outcome. Returns the exit status."""
        steps, is_any_left = Steps(self.noun, "tried again"), False
        with counting(self.run.out, steps), self.printing_outcomes() as add:
            async for head in self._choose(ids, to_retry=True):
                with passing_over(self.run.out, steps, head.id):
                    outcome = await self.try_again(head)
                    add(outcome)
                    is_any_left = is_any_left or self.is_left(outcome)
                    steps.add()
        return ANSWER_IS_NO if is_any_left or steps.left else 0

    async def drop(self, ids: Sequence[str]) -> None:
        """Print the items that the ids name, without ids all, and delete each as soon as it is printed.

        The printed item is the last copy. Where nothing can be printed (a full disk), nothing is deleted.
        """
        steps = Steps(self.noun, "thrown away")
        with counting(self.run.out, steps):
            if self.run.is_json:
                with self.run.out.open_array("dropped") as add:
                    await self._drop_each(ids, steps, lambda item: add(self.in_full(item)))
            else:
                await self._drop_each(ids, steps, partial(self._print_apart, steps))
        if not self.run.is_json:
            self.run.out.note(steps.line())

    def _print_apart(self, steps: Steps, item: Whole) -> None:
        if steps.count:
            self.run.out.text("")
        self.print_in_full(item)

    async def _drop_each(self, ids: Sequence[str], steps: Steps, show: Callable[[Whole], None]) -> None:
        async for head in self._choose(ids):
            whole = await self.read(head)
            if whole is None:
                continue
            show(whole)
            if await self.delete(whole):
                steps.add()
            else:
                self.run.out.note(f"{head.id} was taken by another command meanwhile")

    async def _read_each(self, heads: Sequence[Head]) -> AsyncIterator[Whole]:
        for head in heads:
            if (whole := await self.read(head)) is not None:
                yield whole

    async def _choose(self, ids: Sequence[str], *, to_retry: bool = False) -> AsyncIterator[Head]:
        """Yield the heads that the ids name, without ids all. Raises NothingFoundError before anything is done."""
        if ids:
            heads = await self._find_all(ids)
            if to_retry:
                self.check_retry(heads)
            for head in heads:
                yield head
            return
        is_empty = True
        async for head in self.each():
            is_empty = False
            yield head
        if is_empty:
            raise self._nothing()

    async def _find_all(self, ids: Sequence[str]) -> list[Head]:
        matches = await self.find_all(ids)
        if missing := [item_id for item_id in ids if not matches[item_id]]:
            raise self._missing(missing)
        return list({head.id: head for item_id in ids for head in matches[item_id]}.values())

    def _missing(self, ids: Sequence[str]) -> NothingFoundError:
        return NothingFoundError(
            f"not {self.place} of {self.address.shown()}: {', '.join(ids)}",
            set_by=self.address.set_by,
            next=f"rfctl {self.command} list",
        )

    def _nothing(self) -> NothingFoundError:
        return NothingFoundError(f"{self.empty()} {self.address.shown()}", set_by=self.address.set_by)

    @abstractmethod
    def empty(self) -> str:
        """Return the fact to report if there is none; the address follows."""

    @abstractmethod
    async def count(self) -> int:
        """Return how many there are."""

    @abstractmethod
    async def newest(self, limit: int) -> Sequence[Head]:
        """Return the newest, the newest last."""

    @abstractmethod
    async def find_all(self, ids: Sequence[str]) -> Mapping[str, Sequence[Head]]:
        """Return for each id those that it names. Raises UsageError if an id is ambiguous."""

    @abstractmethod
    def each(self) -> AsyncIterator[Head]:
        """Yield all that are there now."""

    @abstractmethod
    async def read(self, head: Head) -> Whole | None:
        """Read all of an item; None when it is gone."""

    @abstractmethod
    async def try_again(self, head: Head) -> Outcome:
        """Try again with one item."""

    def check_retry(self, heads: Sequence[Head]) -> None:
        """Refuse a retry of items that the operator named, before anything is done. Raises RfctlError."""

    @abstractmethod
    def is_left(self, outcome: Outcome) -> bool:
        """Say whether the item is still there: it could not be tried, or did not succeed."""

    @abstractmethod
    def printing_outcomes(self) -> AbstractContextManager[Callable[[Outcome], None]]:
        """Print the outcomes of the retries as they come: what is yielded takes each."""

    @abstractmethod
    async def delete(self, item: Whole) -> bool:
        """Delete an item; says whether it was there."""

    @abstractmethod
    def as_json(self, head: Head) -> dict[str, Any]:
        """Return an item for the list."""

    @abstractmethod
    def row(self, head: Head) -> tuple[str, ...]:
        """Return an item for the table."""

    @abstractmethod
    def in_full(self, item: Whole) -> dict[str, Any]:
        """Return all of an item."""

    @abstractmethod
    def print_in_full(self, item: Whole) -> None:
        """Print all of an item for a person."""


AnyShelf = TypeVar("AnyShelf", bound=Shelf[Any, Any, Any])


def run_on_shelf(
    ctx: typer.Context,
    build: Callable[[Invocation, Store, Configuration], AnyShelf],
    action: Callable[[AnyShelf], Awaitable[int | None]],
    *,
    question: str = "",
    yes: bool = False,
) -> None:
    """Open the store, build the shelf and run one command on it, after a question if there is one.

    The question is told how many there are. Raises UsageError off a terminal without `yes`, Abort for a no.
    """

    async def work() -> int | None:
        run = invocation(ctx)
        async with run.store() as (store, configuration):
            shelf = build(run, store, configuration)
            if question:
                ask(f"{question} ({await shelf.count()} in all)", yes=yes)
            return await action(shelf)

    run_async(work())
