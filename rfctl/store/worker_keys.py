"""The names of what a group of workers keeps in Redis (`rfctl.worker` writes it), and the search for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from rfctl.store.key_names import escape_literal

_PARTS = "again:order|again:failures|again|order|failures|done"
_NAME = re.compile(rf"rfctl:(?:\{{\d+\}}:)?worker:(.+?):(?:{_PARTS})", re.DOTALL)


@dataclass(frozen=True)
class WorkerKeys:
    """The keys of one group of workers on one shard. Workers write them, and none of them expires."""

    prefix: str

    @cached_property
    def order(self) -> str:
        """Sorted set without scores of `batch key NUL id`: what the group has read and not acknowledged."""
        return f"{self.prefix}:order"

    @cached_property
    def failures(self) -> str:
        """Hash, entry id → JSON array of failed attempts, with their numbers. An error may have words of a message in it."""
        return f"{self.prefix}:failures"

    @cached_property
    def done(self) -> str:
        """Sorted set: the id of a handled message → when it was handled, Unix ms. It names nobody."""
        return f"{self.prefix}:done"

    @cached_property
    def again(self) -> str:
        """Stream of the dead letters that the group gets again, with their texts."""
        return f"{self.prefix}:again"

    @cached_property
    def again_order(self) -> str:
        """As `order`, of the stream `again`."""
        return f"{self.prefix}:again:order"

    @cached_property
    def again_failures(self) -> str:
        """As `failures`, of the stream `again`."""
        return f"{self.prefix}:again:failures"

    @property
    def all(self) -> list[str]:
        """Every key of the group."""
        return [self.order, self.failures, self.done, self.again, self.again_order, self.again_failures]


def pattern_of_groups(prefix: str) -> str:
    """Return the pattern under which SCAN finds the keys of all groups."""
    return escape_literal(prefix) + "rfctl:*worker:*"


def list_groups(keys: Iterable[str], prefix: str) -> dict[str, set[str]]:
    """Return the keys that are those of a group of workers, by the group's name."""
    by_group: dict[str, set[str]] = {}
    for key in keys:
        match = _NAME.fullmatch(key.removeprefix(prefix))
        if match:
            by_group.setdefault(match[1], set()).add(key)
    return by_group
