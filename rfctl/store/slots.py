"""Which hash tag each shard has, so that shards spread over the servers of a cluster as its slots do."""

from __future__ import annotations

import binascii
from functools import cache

_SLOTS = 16384


@cache
def shard_tags(shards: int) -> tuple[str, ...]:
    """Return the hash tag of each shard: the smallest number whose slot lies in the shard's part of all slots.

    So the shards spread over the servers of a cluster as their slots do.
    """
    tags: dict[int, str] = {}
    number = 0
    while len(tags) < shards:
        tags.setdefault(crc16(str(number)) % _SLOTS * shards // _SLOTS, str(number))
        number += 1
    return tuple(tags[place] for place in range(shards))


def crc16(text: str) -> int:
    """Return the checksum by which Redis Cluster chooses a slot."""
    return binascii.crc_hqx(text.encode(), 0)
