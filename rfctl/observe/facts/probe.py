"""One message of our own through a running daemon: what it is asked, and what became of the message at each link.

The message is marked as simulated. It goes on keys of its own, so nobody but a sink with `probe = true` sees it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from typing import Literal

import msgspec

from rfctl.model.closed_sets import Role
from rfctl.text import duration, visible

PROBE_PATH = "/admin/probe"
PHONE = SOURCE = "probe"
TEXT = "rfctl doctor --probe sent this; nobody wrote it"
_MOST_BYTES = 262_144
_SHOWN = 200

Link = Literal["door", "store", "hand-over", "acknowledgement", "sink"]
"""A part of the way: the request, the batch, the output stream, a consumer group, a receiver."""


class ProbedLink(msgspec.Struct, frozen=True):
    """What became of the message at one link. `sink` is the name of a sink, "" for every other link.

    `problem` is why it ended there, `skipped` why it was not tried; both are "" where all is right. `next` is the cure.
    """

    link: Link
    ms: float = 0.0
    problem: str = ""
    next: str = ""
    skipped: str = ""
    sink: str = ""


class ProbeReport(msgspec.Struct, frozen=True):
    """What one daemon says of the links that are its work."""

    daemon: str
    pid: int
    role: Role
    links: tuple[ProbedLink, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What came of asking at `listener`, after so many ms: a report, or the `problem` with what to do `next`."""

    listener: str
    ms: float = 0.0
    report: ProbeReport | None = None
    problem: str = ""
    next: str = ""


async def ask_probe(listener: str, token: str, limit_s: float) -> ProbeAnswer:
    """Send the message to the daemon at unix:/path or host:port. `token` is http.admin_token. No failure is raised."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(limit_s):
            answer = await _post(listener, token)
    except TimeoutError:
        step = "its log says what it does, and whether Redis answers it; systemctl restart rfctl"
        return ProbeAnswer(listener, problem=f"no answer within {duration(limit_s * 1000)}", next=step)
    except OSError as problem:
        step = "start the daemon (systemctl start rfctl), or ask on its host and with its settings"
        return ProbeAnswer(listener, problem=problem.strerror or str(problem), next=step)
    return build_answer(listener, (time.perf_counter() - began) * 1000, answer)


def build_body() -> bytes:
    """Return the message as a source of type generic takes it."""
    message_id = f"probe-{secrets.token_hex(8)}"
    return json.dumps({"from": PHONE, "message": TEXT, "messageId": message_id, "simulated": True}).encode()


async def _post(listener: str, token: str) -> bytes:
    """Return all that comes back. Raises OSError."""
    if listener.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(listener.removeprefix("unix:"))
    else:
        host, _, port = listener.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(_build_request(token, build_body()))
        await writer.drain()
        return await reader.read(-1)
    finally:
        writer.close()


def _build_request(token: str, body: bytes) -> bytes:
    head = [
        f"POST {PROBE_PATH} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
    ]
    head += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def build_answer(listener: str, ms: float, answer: bytes) -> ProbeAnswer:
    """Return what an answer says: a report, or why there is none."""
    head, _, body = answer[:_MOST_BYTES].partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split(b" ")[1:2]
    if status == [b"200"]:
        try:
            return ProbeAnswer(listener, ms, msgspec.json.decode(body, type=ProbeReport))
        except msgspec.MsgspecError:
            status = []
    problem, step = _explain(status[0].decode("latin-1") if status else "", body)
    return ProbeAnswer(listener, ms, problem=problem, next=step)


def _explain(status: str, body: bytes) -> tuple[str, str]:
    """Return why a daemon did not take the message, and what to do."""
    if status in ("401", "403"):
        step = "give this shell the http.admin_token of the daemon; without one ask on its host, past every proxy"
        return f"it does not let us in ({status}: {_find_error(body)})", step
    if status in ("404", "405"):
        return "it knows no probe: it is an older rfctl", "start the daemon again with this version"
    if not status:
        return "what answers is no daemon of this version", "end that program, or set http.port"
    return f"it answers {status}: {_find_error(body)}", "its log says more (request_rejected)"


def _find_error(body: bytes) -> str:
    """Return the text of an error as our listener sends it; the body itself where it is something else."""
    try:
        text = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace")
    return visible(text)[:_SHOWN]
