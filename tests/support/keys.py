"""The keys of an rfctl on one server, without shards and without a prefix."""

from __future__ import annotations

from rfctl.store.keys import Keyspace

SHARD = Keyspace().all()[0]
COMMON = SHARD.common
