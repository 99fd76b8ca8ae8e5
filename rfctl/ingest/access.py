"""Access to batches over HTTP: for the bearer of the token or, if none is set, for this machine."""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_allowed(request: Request, token: str) -> bool:
    """Say whether this request may see and change batches; a `token` of "" lets in this machine only."""
    if token:
        credentials = request.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(credentials, b"Bearer " + token.encode())
    return is_local(request)


def is_local(request: Request) -> bool:
    """Say whether a request comes from this machine itself, and not through a proxy on it."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
