"""How many wrong tokens may come within a minute: of one client, and of all together."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from rfctl.ingest.head import Head

WINDOW_S = 60.0
MOST_OF_ONE, MOST = 10, 50
_NEAR = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
"""Where a proxy of ours may be."""
_OF_A_NETWORK = 64
"""A client has all addresses of an IPv6 network of so many bits."""


class Tries:
    """The wrong tokens of the last minute, so many of one client and of all. `clock` counts seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most_of_one: int = MOST_OF_ONE,
        most: int = MOST,
    ) -> None:
        self._clock = clock
        self._most_of_one, self._most = most_of_one, most
        self._failures: deque[tuple[float, str]] = deque()

    def measure_wait_s(self, client: str) -> int:
        """Return how long nobody may try from there, s; 0 when they may."""
        now = self._clock()
        while self._failures and now - self._failures[0][0] >= WINDOW_S:
            self._failures.popleft()
        own = [at for at, name in self._failures if name == client]
        everybody = [at for at, _ in self._failures]
        limits = ((own, self._most_of_one), (everybody, self._most))
        blocking = [times[0] for times, most in limits if len(times) >= most]
        return math.ceil(max(blocking) + WINDOW_S - now) if blocking else 0

    def record_failure(self, client: str) -> None:
        """Remember a wrong token."""
        self._failures.append((self._clock(), client))


def name_client(head: Head) -> str:
    """Return who is counted: the client that the nearest proxy names, or the peer.

    A proxy adds the address that it saw as the last of X-Forwarded-For. One that passes on a stranger's leaves the bound
    of all together. It is believed for this count alone, and only from this machine or a private network.
    """
    forwarded = find_forwarded(head)
    try:
        address = ip_address(forwarded or head.peer)
    except ValueError:
        return head.peer
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, _OF_A_NETWORK), strict=False))
    return str(address)


def find_forwarded(head: Head) -> str:
    """Return the address for which a proxy near us asks, "" where none does."""
    if head.peer and not _is_near(head.peer):
        return ""
    values = [value for name, value in head.fields if name == b"x-forwarded-for"]
    last = values[-1].rpartition(b",")[2].strip().decode("latin-1") if values else ""
    try:
        return str(ip_address(last))
    except ValueError:
        return ""


def _is_near(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((mapped or address) in network for network in _NEAR)
