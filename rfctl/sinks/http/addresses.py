"""Which addresses a sink may connect to: those of the public internet, unless the operator allows others.

The address that the socket is made for is judged, after every lookup, and never the text of a URL: a name
can point inside, and so can `0x7f000001`. Text that is no address is blocked.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import AddrInfoType

# From IANA's registries of special-purpose addresses. Python's own `is_global` changed its answers between releases.
_KINDS_4 = {
    "an unspecified": ("0.0.0.0/8",),
    "a loopback": ("127.0.0.0/8",),
    "a private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "a carrier's internal": ("100.64.0.0/10",),
    "a link-local": ("169.254.0.0/16",),
    "a multicast": ("224.0.0.0/4",),
    "a reserved": (
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "240.0.0.0/4",
    ),
}  # fmt: skip
_KINDS_6 = {
    "an unspecified": ("::/128",),
    "a loopback": ("::1/128",),
    "a private": ("fc00::/7", "fec0::/10", "64:ff9b:1::/48"),
    "a link-local": ("fe80::/10",),
    "a multicast": ("ff00::/8",),
    "a tunnel's": ("2001::/32", "2002::/16"),
    "a reserved": ("2001::/23", "2001:db8::/32", "3fff::/20"),
}
_NETWORKS_4 = [(IPv4Network(net), kind) for kind, nets in _KINDS_4.items() for net in nets]
_NETWORKS_6 = [(IPv6Network(net), kind) for kind, nets in _KINDS_6.items() for net in nets]
_PUBLIC_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressBlockedError(OSError):
    """An address that may not be connected to; its text says which, why, and the setting that allows it."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EACCES, f"{why}: blocked unless allow_private = true")

    def __str__(self) -> str:
        return str(self.strerror)


def find_block_reason(host: str) -> str:
    """Return why this address may not be connected to, or "" when it may."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host!r} is not an address"
    kind = _kind_4(address) if isinstance(address, IPv4Address) else _kind_6(address)
    return f"{host} is {kind} address" if kind else ""


def _kind_4(address: IPv4Address) -> str:
    return next((kind for network, kind in _NETWORKS_4 if address in network), "")


def _kind_6(address: IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return _kind_4(address.ipv4_mapped)
    if address in _NAT64:  # where there is only IPv6, every IPv4 receiver is reached through it
        return _kind_4(IPv4Address(address.packed[-4:]))
    special = next((kind for network, kind in _NETWORKS_6 if address in network), "")
    return special or ("" if address in _PUBLIC_6 else "a reserved")


def open_public_socket(target: AddrInfoType) -> socket.socket:
    """Make the socket for one looked-up address. Raises AddressBlockedError when that is not a public one."""
    family, kind, protocol, _, address = target
    why = find_block_reason(str(address[0]))
    if why:
        raise AddressBlockedError(why)
    return socket.socket(family, kind, protocol)
