"""Whether the receivers of sinks can be reached now: a connection, TLS with its certificate, and their clock.

Nothing is delivered. An HTTP receiver gets one `HEAD /`: it names neither the hook nor its secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from rfctl.sinks.http.addresses import find_block_reason
from rfctl.text import duration

_HEAD_BYTES = 65_536
_DAY_S = 86_400
_LONGEST_S = 2.5


@dataclass(frozen=True, slots=True)
class ReceiverAddress:
    """Where a sink delivers. `set_by` is who set it; `asks_date` for a receiver that speaks HTTP."""

    sink: str
    host: str
    port: int
    is_tls: bool = False
    asks_date: bool = False
    is_public_only: bool = False
    connect_timeout_ms: int = 5000
    set_by: str = ""

    @property
    def place(self) -> str:
        """Host and port, for a person."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """What was seen of a receiver. `problem` is why it cannot be reached, "" if it can.

    `days_left` is how long its certificate is still valid. `ahead_ms` is how far its clock is ahead of this host's, give
    or take `doubt_ms`. Each is None where it was not seen.
    """

    address: ReceiverAddress
    problem: str = ""
    days_left: float | None = None
    ahead_ms: float | None = None
    doubt_ms: float = 0.0


async def reach_receivers(
    addresses: tuple[ReceiverAddress, ...], wall_clock: Callable[[], float] = time.time
) -> tuple[Receiver, ...]:
    """Try all of them side by side. `wall_clock` is this host's (Unix s)."""
    return tuple(await asyncio.gather(*(reach(address, wall_clock) for address in addresses)))


async def reach(address: ReceiverAddress, wall_clock: Callable[[], float] = time.time) -> Receiver:
    """Try one of them; no failure is raised."""
    limit_s = min(_LONGEST_S, address.connect_timeout_ms / 1000)
    try:
        async with asyncio.timeout(limit_s):
            return await _look(address, wall_clock)
    except TimeoutError:
        return Receiver(address, f"no connection within {duration(limit_s * 1000)}")
    except ssl.SSLCertVerificationError as problem:
        return Receiver(address, f"its certificate is refused: {problem.verify_message}")
    except ssl.SSLError as problem:
        return Receiver(address, f"TLS fails: {problem.reason or problem}")
    except socket.gaierror as problem:
        return Receiver(address, f"its name is not found: {problem.strerror}")
    except OSError as problem:
        return Receiver(address, os.strerror(problem.errno) if problem.errno else str(problem))


async def _look(address: ReceiverAddress, wall_clock: Callable[[], float]) -> Receiver:
    if address.is_public_only and (why := await _find_block(address)):
        return Receiver(address, f"{why}: blocked unless allow_private = true")
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=ssl.create_default_context() if address.is_tls else None
    )
    try:
        days_left = _read_days_left(writer, wall_clock)
        ahead_ms, doubt_ms = None, 0.0
        if address.asks_date:
            ahead_ms, doubt_ms = await _ask_date(address, reader, writer, wall_clock)
        return Receiver(address, "", days_left, ahead_ms, doubt_ms)
    finally:
        writer.close()


async def _find_block(address: ReceiverAddress) -> str:
    """Return why the sink would not connect there, "" if it would."""
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    reasons = [find_block_reason(str(answer[4][0])) for answer in answers]
    return next(iter(reasons)) if reasons and all(reasons) else ""


def _read_days_left(writer: asyncio.StreamWriter, wall_clock: Callable[[], float]) -> float | None:
    shown: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    certificate = shown.getpeercert() if shown is not None else None
    if not certificate or not isinstance(ends := certificate.get("notAfter"), str):
        return None
    return (ssl.cert_time_to_seconds(ends) - wall_clock()) / _DAY_S


async def _ask_date(
    address: ReceiverAddress,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    wall_clock: Callable[[], float],
) -> tuple[float | None, float]:
    """Return how far its clock is ahead, and the doubt, ms. A receiver that says no date, or nothing, is none."""
    began, began_at = time.perf_counter(), wall_clock()
    with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(1.0):
            writer.write(f"HEAD / HTTP/1.1\r\nHost: {address.place}\r\nConnection: close\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n"))[:_HEAD_BYTES]
            way_ms = (time.perf_counter() - began) * 1000
            if (date_ms := _find_date(head)) is not None:
                return date_ms + 500 - (began_at * 1000 + way_ms / 2), 500 + way_ms / 2
    return None, 0.0


def _find_date(head: bytes) -> int | None:
    """Return the Date of an answer, Unix ms; it has whole seconds."""
    for line in head.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() == "date":
            with contextlib.suppress(ValueError, OverflowError):
                return int(parsedate_to_datetime(value.strip()).timestamp() * 1000)
    return None
