"""The streams that a group of workers reads, and the keys that go with each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rfctl.model.slots import build_worker_key, shard_tags, tag_key


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """The keys of a worker for one stream. An entry of its own stream is deleted when it is done."""

    stream: str
    order: str
    remembered: str
    failures: str
    dead: str
    is_own: bool

    @property
    def all(self) -> tuple[str, ...]:
        """The keys in the order of the scripts."""
        return (self.stream, self.order, self.remembered, self.failures, self.dead)


def name_streams(output: str, shards: int, prefix: str, group: str) -> list[StreamKeys]:
    """Return the streams of all shards: the output stream, and what the group gets again of its dead letters."""
    tags = [f"{{{tag}}}:" for tag in shard_tags(shards)] or [""]
    return [keys for tag in tags for keys in _name_of_shard(output, tag, prefix, group)]


def _name_of_shard(output: str, tag: str, prefix: str, group: str) -> Iterator[StreamKeys]:
    order, again_order, remembered, failures, again_failures, again = (
        build_worker_key(prefix, tag, group, part)
        for part in ("order", "again:order", "done", "failures", "again:failures", "again")
    )
    dead = prefix + tag_key("rfctl:dead", tag)
    yield StreamKeys(tag_key(output, tag), order, remembered, failures, dead, is_own=False)
    yield StreamKeys(again, again_order, remembered, again_failures, dead, is_own=True)
