"""For commands of many steps: one that fails in the middle says how far it came, and that it may be run again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from rfctl.cli.output import Output
from rfctl.errors import KeyTakenError, ReplyError, RfctlError
from rfctl.text import counted


class Steps:
    """How many steps a command has done, and what one is: `3 batches discarded`. `left` counts those that failed."""

    def __init__(self, noun: str, verb: str) -> None:
        self.count = 0
        self.left = 0
        self._noun = noun
        self._verb = verb

    def add(self, count: int = 1) -> None:
        """Count steps that are done."""
        self.count += count

    def line(self) -> str:
        """Return what was done so far, for a person."""
        return f"{counted(self.count, self._noun)} {self._verb}"


@contextmanager
def passing_over(out: Output, steps: Steps, name: str) -> Iterator[None]:
    """Go on behind a step that Redis refuses for its own sake, such as a key of another kind; a note names it."""
    try:
        yield
    except (KeyTakenError, ReplyError) as problem:
        steps.left += 1
        out.note(f"{name} is left as it is: {problem.fact}")


@contextmanager
def counting(out: Output, steps: Steps) -> Iterator[None]:
    """Add to a failure how far the command came. Every step is safe to repeat, so the error says to run it again."""
    try:
        yield
    except RfctlError as problem:
        if steps.count:
            problem.fact = f"{problem.fact} (before that: {steps.line()})"
            problem.next = "; ".join(
                filter(None, [problem.next, "then run it again: it goes on with the rest"])
            )
        raise
    except asyncio.CancelledError:
        out.note(f"interrupted: {steps.line()}")
        raise
