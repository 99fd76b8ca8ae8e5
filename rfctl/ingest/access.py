"""Who may see and delete batches over HTTP: the bearer of the token, or, without one, this machine itself."""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_allowed(request: Request, token: str) -> bool:
    """Say whether this request may look into and change batches."""
    if token:
        given = request.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, b"Bearer " + token.encode())
    return is_local(request)


def is_local(request: Request) -> bool:
    """Tell this machine from a stranger whom a proxy on it brings in over loopback, and says so in a header."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
