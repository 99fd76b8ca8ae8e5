"""Who answers where a daemon with these settings listens: a daemon of rfctl, another program, or nobody."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

_ASKED_S = 2.0
"""How long a daemon may take to answer: its loop is busy at times, and not for so long."""
_ANSWER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class ListenerAnswer:
    """What answers at `listener`.

    Of a daemon: which Redis it uses (`redis` is a masked URL, "" if it does not say), and why it is not ready: `reason` is
    one word, "" if it is. Where no such answer came, `owner` is `pid 7 (nginx)`, or "another user's" where it cannot be seen;
    `pid` is its process, 0 where that is not seen, and it `is_stopped` by a signal (SIGSTOP) or not.
    """

    listener: str
    owner: str = ""
    redis: str = ""
    run_id: str = ""
    db: int = 0
    reason: str = ""
    problem: str = ""
    next: str = ""
    pid: int = 0
    is_stopped: bool = False


class _Readiness(msgspec.Struct):
    status: Literal["ready", "not ready"]
    redis: str = ""
    run_id: str = ""
    db: int = 0
    reason: str = ""
    problem: str = ""
    next: str = ""


async def read_listener(listener: str) -> ListenerAnswer | None:
    """Ask who listens, unix:/path or host:port; None where nobody does."""
    if listener.endswith(":0"):
        return None
    try:
        async with asyncio.timeout(_ASKED_S):
            answer = await _get(listener, "/readyz")
    except TimeoutError:
        answer = b""
    except OSError:
        return None
    try:
        facts = msgspec.json.decode(answer, type=_Readiness)
    except msgspec.MsgspecError:
        return await asyncio.to_thread(_describe_owner, listener)
    return ListenerAnswer(
        listener, "", facts.redis, facts.run_id, facts.db, facts.reason, facts.problem, facts.next
    )


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


def _describe_owner(listener: str) -> ListenerAnswer:
    """Return which process of this host has the address of the listener."""
    pid = _find_owner(listener)
    if pid is None:
        return ListenerAnswer(listener, owner="another user's")
    name, state = _read_stat(pid)
    return ListenerAnswer(listener, owner=f"pid {pid} ({name})", pid=pid, is_stopped=state == "T")


def _read_stat(pid: int) -> tuple[str, str]:
    """Return the name and the state of a process, "?" where it has just ended."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return "?", "?"
    return head.partition("(")[2], rest.split()[0]


def _find_owner(listener: str) -> int | None:
    """Return which process listens at an address of this host, None where it cannot be seen."""
    _, _, port = listener.rpartition(":")
    inodes = _find_inodes(int(port)) if port.isdigit() else set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        return int(process.name)
    return None


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
