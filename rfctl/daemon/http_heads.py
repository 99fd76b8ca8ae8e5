"""The heads that clients send again and again: what was read out of such a head the first time is known by its bytes.

Nothing in a head but its bytes, its peer and the sources decides how it is served. So the same bytes need no second look.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.ingest.head import Head
from rfctl.sources.contract import ServedSource

_MOST = 512
_LARGEST = 1024
"""Bytes. Strangers decide which heads come: all known ones together stay below two megabytes."""


class KnownHead(msgspec.Struct, eq=False):
    """A head that a source serves, with a body of `size` bytes. `can_stay` says whether its connection may.

    It counts as long as `sources` are those of the receiver.
    """

    served: ServedSource
    head: Head
    size: int
    can_stay: bool
    sources: Mapping[str, ServedSource]


class KnownHeads:
    """The known heads of one server, by their bytes without the empty line."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def find(self, raw: bytes, peer: str, sources: Mapping[str, ServedSource]) -> KnownHead | None:
        """Return what is known of a head, or None."""
        known = self._heads.get(raw)
        if known is None or known.sources is not sources or known.head.peer != peer:
            return None
        return known

    def keep(self, raw: bytes, known: KnownHead) -> None:
        """Keep what was read out of these bytes, unless they are many, or it may end before its empty line.

        A line that ends in LF alone is such a doubt: the parser decides whether it ends the head.
        """
        if len(raw) > _LARGEST or raw.count(b"\n") != raw.count(b"\r\n") or not raw.startswith(b"POST "):
            return
        if len(self._heads) >= _MOST:
            self._heads.clear()
        self._heads[raw] = known
