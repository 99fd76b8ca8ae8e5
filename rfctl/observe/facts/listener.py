"""Who answers where a daemon with these settings listens: a daemon of rfctl, another program, or nobody."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

_ASKED_S = 1.0
_ANSWER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class PortOwner:
    """Another program than rfctl at our listener's address; `name` is `pid 7 (nginx)`, "" where it cannot be seen."""

    listener: str
    name: str


async def ask_readiness(listener: str) -> dict[str, Any] | None:
    """Return what a daemon there says of itself; None where nobody listens. Another program's answer is empty."""
    if listener.endswith(":0"):
        return None
    try:
        async with asyncio.timeout(_ASKED_S):
            answer = await _get(listener, "/readyz")
    except TimeoutError:
        return {}
    except OSError:
        return None
    with contextlib.suppress(msgspec.MsgspecError):
        facts = msgspec.json.decode(answer, type=dict[str, Any])
        return facts if facts.get("status") in ("ready", "not ready") else {}
    return {}


async def _get(listener: str, path: str) -> bytes:
    """Return the body of one GET at a listener, unix:/path or host:port. Raises OSError."""
    if listener.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(listener.removeprefix("unix:"))
    else:
        host, _, port = listener.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = b""
        while len(answer) < _ANSWER_BYTES and (more := await reader.read(_ANSWER_BYTES)):
            answer += more
        return answer.partition(b"\r\n\r\n")[2]
    finally:
        writer.close()


def find_owner(listener: str) -> PortOwner:
    """Return who listens at an address of this host; a process of another user has no name for us."""
    _, _, port = listener.rpartition(":")
    inodes = _find_inodes(int(port)) if port.isdigit() else set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        name = (process / "comm").read_text().strip()
                        return PortOwner(listener, f"pid {process.name} ({name})")
    return PortOwner(listener, "")


def _find_inodes(port: int) -> set[str]:
    """Return the sockets that listen on a TCP port, as the descriptors of a process name them."""
    wanted, inodes = f":{port:04X}", set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if words[1].endswith(wanted) and words[3] == "0A":
                    inodes.add(f"socket:[{words[9]}]")
    return inodes
