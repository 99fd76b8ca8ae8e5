"""Which hash tag each shard has, so that shards spread over the servers of a cluster as its slots do.

How a key is spelled with its tag is here too: the store and the library for workers name the same keys.
"""

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


def tag_key(key: str, tag: str) -> str:
    """Return a key's name with a shard's tag (`{17}:`) in it: `a:b` is `a:{17}:b`, and `a` is `a:{17}`. "" adds none."""
    if not tag:
        return key
    head, colon, rest = key.partition(":")
    return f"{head}:{tag}{rest}" if colon else f"{key}:{tag[:-1]}"


def build_worker_key(prefix: str, tag: str, group: str, part: str) -> str:
    """Return the name of a key of a group of workers on one shard, such as its stream `again`."""
    return prefix + tag_key(f"rfctl:worker:{group}:{part}", tag)
