"""Requests that are signed before a run, in a file that requests.lua reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def write_requests(file: Path, requests: Iterable[tuple[str, Mapping[str, str], bytes]]) -> int:
    """Write POSTs, each of a path, headers and a body. Returns how many."""
    count = 0
    with file.open("wb") as out:
        for path, headers, body in requests:
            raw = build_post(path, headers, body)
            out.write(b"%d\n" % len(raw) + raw)
            count += 1
    return count


def build_post(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes of a POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
