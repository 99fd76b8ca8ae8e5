"""What a follower collects from the output stream, step by step."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from rfctl.model.stored import Merged
from rfctl.simulation import Follower
from rfctl.store import Store


class Output:
    """An output stream of one shard that a test appends to."""

    def __init__(self) -> None:
        self.entries: list[Merged] = []

    async def last_id(self, shard: str) -> str:
        return self.entries[-1].id if self.entries else "0-0"

    async def read_on(self, shard: str, entry_id: str) -> AsyncIterator[Merged]:
        for entry in [entry for entry in self.entries if entry.id > entry_id]:
            yield entry

    def append(self, *ids: str) -> None:
        raw = [json.dumps({"message": "x", "messageId": message_id}).encode() for message_id in ids]
        entry_id = f"{len(self.entries) + 1}-0"
        self.entries.append(Merged(entry_id, "p", "", "x", len(ids), "quiet", 0, 0, 0, "generic", True, raw))


def store_of(output: Output) -> Store:
    fake: Any = SimpleNamespace(shards=["only"], output=output)
    return cast(Store, fake)


async def test_read_new_counts_only_messages_of_the_run() -> None:
    output = Output()
    output.append("a")
    follower = await Follower.open(store_of(output), ["a", "b", "c"])
    assert await follower.read_new() == 0, "what was there before is no answer"
    output.append("a", "b")
    output.append("of somebody else")
    assert await follower.read_new() == 2
    assert not follower.is_complete
    output.append("c")
    assert (await follower.read_new(), follower.is_complete) == (1, True)
    assert [merged.id for merged in follower.merged] == ["2-0", "4-0"]


async def test_a_message_that_comes_again_is_collected_for_the_check() -> None:
    output = Output()
    follower = await Follower.open(store_of(output), ["a"])
    output.append("a")
    output.append("a")
    assert await follower.read_new() == 1
    assert len(follower.merged) == 2
