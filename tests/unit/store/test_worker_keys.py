"""The store names the keys of workers as workers do."""

from __future__ import annotations

import pytest

from rfctl.store.keys import Keyspace
from rfctl.store.worker_keys import list_groups
from rfctl.worker.stream_keys import name_streams


@pytest.mark.parametrize("shards", [0, 3])
@pytest.mark.parametrize("group", ["bot", "a:b", "b{1}"])
def test_store_and_library_name_the_same_keys(shards: int, group: str) -> None:
    keyspace = Keyspace(shards, prefix="p:")
    streams = name_streams("p:rfctl:out", shards, "p:", group)
    pairs = zip(keyspace.all(), zip(streams[::2], streams[1::2], strict=True), strict=True)
    for shard, (out, again) in pairs:
        keys = shard.worker(group)
        assert (shard.out, keys.order, keys.done, keys.failures, shard.dead) == out.all
        assert (keys.again, keys.again_order, keys.done, keys.again_failures, shard.dead) == again.all
        assert list_groups(keys.all, "p:") == {group: set(keys.all)}


def test_keys_of_others_are_no_group() -> None:
    assert list_groups(["rfctl:sink:worker:a:done", "rfctl:worker:bot:other", "worker:bot:done"], "") == {}
