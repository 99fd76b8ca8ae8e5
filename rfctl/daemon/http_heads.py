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


def keep_head(heads: dict[bytes, KnownHead], raw: bytes, known: KnownHead) -> None:
    """Keep what was read out of these bytes, which do not have the empty line, unless they are many.

    They must not end before that line. A line that ends in LF alone is such a doubt: the parser decides what it means.
    """
    if len(raw) > _LARGEST or raw.count(b"\n") != raw.count(b"\r\n") or not raw.startswith(b"POST "):
        return
    if len(heads) >= _MOST:
        heads.clear()
    heads[raw] = known
