"""Bodies that came with a Content-Encoding: gzip is taken off within a bound, all else is rejected.

A kilobyte of gzip can be a megabyte. So no more than the bound is ever made of it, before anybody knows who sent it.
"""

from __future__ import annotations

import zlib

from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError

CONTENT_ENCODING = b"content-encoding"
_PLAIN = (b"", b"identity")
_GZIP = (b"gzip", b"x-gzip")
_MOST_MEMBERS = 16
"""Each may be empty, and to begin with the next copies what is left."""
_GZIP_BITS = 31
"""A window of 32 KiB, and the header and the check sum of gzip."""


def check_encoding(head: Head, source: str) -> bool:
    """Say whether the body of a request is gzip. Raises RejectedError for another encoding."""
    encodings = [value.strip().lower() for name, value in head.fields if name == CONTENT_ENCODING]
    sent = b", ".join(encodings)
    if sent in _PLAIN:
        return False
    if sent in _GZIP:
        return True
    fact = f"the body has Content-Encoding {sent[:40].decode('latin-1')!r}: send it with gzip, or with none"
    raise RejectedError(fact, 415, "content-encoding", source=source)


def unpack_gzip(packed: bytes, max_bytes: int, source: str) -> bytes:
    """Return what is in gzip, which may have several members. Raises RejectedError: 413 beyond the bound, 400 for no gzip."""
    parts: list[bytes] = []
    left = max_bytes
    while packed and len(parts) < _MOST_MEMBERS:
        member = zlib.decompressobj(_GZIP_BITS)
        try:
            part = member.decompress(packed, left + 1)
        except zlib.error as problem:
            raise _build_no_gzip(str(problem), source) from None
        left -= len(part)
        if left < 0:
            fact = f"the body is larger than {max_bytes} bytes without its gzip (http.max_body_bytes)"
            raise RejectedError(fact, 413, "body-too-large", source=source)
        if not member.eof:
            raise _build_no_gzip("it ends too early", source)
        parts.append(part)
        packed = member.unused_data
    if packed:
        raise _build_no_gzip(f"it has more than {_MOST_MEMBERS} members", source)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _build_no_gzip(why: str, source: str) -> RejectedError:
    return RejectedError(f"the body is no gzip: {why}", 400, "invalid-body", source=source)
