"""Who may call what: the table, and the proof that a request comes from this machine.

Without a secret or a token, "it comes from this machine" is the only proof. A browser on this machine brings requests
of any web page, by a name that the page's owner points to 127.0.0.1. A proxy on this machine brings those of
strangers. So the Host and the Origin must be this machine's, and nothing may show a proxy.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Literal
from urllib.parse import urlsplit

from rfctl.ingest.head import Head
from rfctl.ingest.rejections import Reason, RejectedError
from rfctl.ingest.tries import Tries, name_client
from rfctl.sources.generic.node_form import BATCHED

Caller = Literal[
    "anybody", "this machine", "the bearer of the token", "who signs", "who names the token", "the page here"
]
HOLD = "/admin/hold"
"""Below it a person is held and released."""
ACCESS: tuple[tuple[str, str, Caller], ...] = (
    ("GET /healthz", "-", "anybody"),
    ("GET /readyz", "-", "anybody"),
    ("POST /webhook/NAME", "secrets", "who signs"),
    ("POST /webhook/NAME", "no secrets", "this machine"),
    ("POST /webhook/NAME", "no secrets, insecure = true", "anybody"),
    ("GET /webhook/NAME", "verify_token", "who names the token"),
    (f"POST {BATCHED}", "secrets of generic", "who signs"),
    (f"POST {BATCHED}", "no secrets of generic", "this machine"),
    (f"GET {BATCHED}/stats", "http.admin_token", "the bearer of the token"),
    (f"GET {BATCHED}/stats", "no http.admin_token", "this machine"),
    (f"DELETE {BATCHED}/PHONE", "http.admin_token", "the bearer of the token"),
    (f"DELETE {BATCHED}/PHONE", "no http.admin_token", "this machine"),
    ("POST /admin/probe", "http.admin_token", "the bearer of the token"),
    ("POST /admin/probe", "no http.admin_token", "this machine"),
    (f"POST {HOLD}/PHONE", "http.admin_token", "the bearer of the token"),
    (f"POST {HOLD}/PHONE", "no http.admin_token", "this machine"),
    (f"DELETE {HOLD}/PHONE", "http.admin_token", "the bearer of the token"),
    (f"DELETE {HOLD}/PHONE", "no http.admin_token", "this machine"),
    ("GET /metrics", "http.metrics_token", "the bearer of the token"),
    ("GET /metrics", "http.admin_token", "the bearer of the token"),
    ("GET /metrics", "neither token", "this machine"),
    ("GET /openapi.json", "http.admin_token", "the bearer of the token"),
    ("GET /openapi.json", "no http.admin_token", "this machine"),
    ("GET /", "http.admin_token", "the bearer of the token"),
    ("GET /", "no http.admin_token", "this machine"),
    ("GET /page/state", "http.admin_token", "the bearer of the token"),
    ("GET /page/state", "no http.admin_token", "this machine"),
    ("GET /page/events", "http.admin_token", "the bearer of the token"),
    ("GET /page/events", "no http.admin_token", "this machine"),
    ("GET /page/find", "http.admin_token", "the bearer of the token"),
    ("GET /page/find", "no http.admin_token", "this machine"),
    ("POST /page/actions/NAME", "http.admin_token", "the bearer of the token"),
    ("POST /page/actions/NAME", "no http.admin_token", "the page here"),
    ("POST /page/login", "http.admin_token", "who names the token"),
    ("POST /page/logout", "http.admin_token", "anybody"),
    ("GET /page/rfctl.css", "-", "anybody"),
    ("GET /page/rfctl.js", "-", "anybody"),
    ("GET /page/rfctl.svg", "-", "anybody"),
)
"""The table of rfctl(7): a request, the settings that decide, and who may send it. A test holds both."""

_PROXY_HEADERS = frozenset(
    {
        b"cf-connecting-ip", b"client-ip", b"fly-client-ip", b"forwarded", b"forwarded-for", b"true-client-ip", b"via",
        b"x-client-ip", b"x-cluster-client-ip", b"x-envoy-external-address", b"x-original-host", b"x-real-ip",
        b"x-remote-addr", b"x-remote-ip",
    }
)  # fmt: skip
_PROXY_PREFIX = b"x-forwarded"
_LOCAL_NAMES = frozenset({"localhost"})


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a request is no proof of this machine. `fact` goes on the sentence "served to this machine only, and …"."""

    reason: Reason
    status: int
    fact: str
    setting: str = ""


BEARERS_OF_ONE, BEARERS = 100, 1000
"""So many wrong tokens of bearers may come within a minute, of one client and of all: a program with an old one asks often."""


def _build_tries() -> Tries:
    return Tries(most_of_one=BEARERS_OF_ONE, most=BEARERS)


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides who is let in. `allowed_hosts` are names for this machine besides its loopback addresses.

    The `admin_token` opens everything that has no sender of its own, the `metrics_token` the metrics alone.
    """

    admin_token: str = ""
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    metrics_token: str = ""
    tries: Tries = field(default_factory=_build_tries, compare=False)

    def check_admin(self, head: Head) -> None:
        """Let in the bearer of the token or, if none is set, this machine. Raises RejectedError."""
        if not self.admin_token:
            self.check_local(head, "this", "set http.admin_token to allow it")
            return
        if not self._has_token(head, self.admin_token):
            fact = "this is not served to you: send Authorization: Bearer <http.admin_token>"
            raise RejectedError(fact, 401, "token")

    def check_metrics(self, head: Head) -> None:
        """Let in who may read the metrics: the bearer of a token or, if none is set, this machine. Raises RejectedError."""
        tokens = [token for token in (self.metrics_token, self.admin_token) if token]
        if not tokens:
            self.check_local(head, "this", "set http.metrics_token to allow it")
        elif not self._has_token(head, *tokens):
            fact = "the metrics are not served to you: send Authorization: Bearer <http.metrics_token>"
            raise RejectedError(fact, 401, "token")

    def may_see_facts(self, head: Head) -> bool:
        """Say whether a request may see the facts behind a word: from the bearer of the token, or this machine."""
        with contextlib.suppress(RejectedError):
            if self.admin_token and self._has_token(head, self.admin_token):
                return True
        return self.find_doubt(head) is None

    def _has_token(self, head: Head, *tokens: str) -> bool:
        """Say whether a request bears one of these. Raises RejectedError for who has guessed too often."""
        bearer = head.find_value(b"authorization")
        if not bearer:
            return False
        client = name_client(head)
        wait_s = self.tries.measure_wait_s(client)
        if wait_s:
            fact = f"too many wrong tokens came from {client or 'a Unix socket'}: wait {wait_s} s"
            raise RejectedError(fact, 429, "token", headers={"Retry-After": str(wait_s)})
        has_token = any(hmac.compare_digest(bearer, b"Bearer " + token.encode()) for token in tokens)
        if not has_token:
            self.tries.record_failure(client)
        return has_token

    def check_local(self, head: Head, what: str, hint: str, *, source: str = "") -> None:
        """Let in this machine only. `hint` says what would allow others. Raises RejectedError."""
        doubt = self.find_doubt(head)
        if doubt is not None:
            step = f"{doubt.setting}, or {hint}" if doubt.setting else hint
            fact = f"{what} is served to this machine only, and {doubt.fact}: {step}"
            raise RejectedError(fact, doubt.status, doubt.reason, source=source, next=step)

    def find_doubt(self, head: Head) -> Doubt | None:
        """Return why a request may come from elsewhere than this machine itself; None when it does not."""
        if not _is_loopback(head.peer):
            return Doubt("not-local", 401, f"this comes from {head.peer or 'a Unix socket'}")
        hosts, origins = [], []
        for name, value in head.fields:
            if name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIX):
                return Doubt("proxied", 401, f"a proxy brought this ({name.decode('latin-1')})")
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        if head.version == "1.0":
            return Doubt("proxied", 401, "this is HTTP/1.0, as many proxies send it")
        return self._doubt_host(hosts) or self._doubt_origin(origins)

    def _doubt_host(self, hosts: list[bytes]) -> Doubt | None:
        if len(hosts) != 1:
            return Doubt("host", 403, f"this has {len(hosts) or 'no'} Host headers")
        host = hosts[0].decode("latin-1")
        return None if self._is_ours(host) else _name_doubt("host", "Host", host)

    def _doubt_origin(self, origins: Iterable[bytes]) -> Doubt | None:
        for origin in (value.decode("latin-1") for value in origins):
            scheme, separator, authority = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not self._is_ours(authority):
                return _name_doubt("origin", "Origin", origin)
        return None

    def _is_ours(self, authority: str) -> bool:
        host = _host_of(authority)
        return host in _LOCAL_NAMES or host in self.allowed_hosts or _is_loopback(host)


def _name_doubt(reason: Reason, header: str, value: str) -> Doubt:
    step = "add its host to http.allowed_hosts if it is this machine's"
    return Doubt(reason, 403, f"the {header} is {value[:100]!r}", step)


@lru_cache(256)
def _host_of(authority: str) -> str:
    """Return the host of `host[:port]` in lower case, without brackets; "" when it is no such thing."""
    if any(sign in authority for sign in "/?#@\\ ,"):
        return ""
    try:
        parts = urlsplit(f"//{authority}")
        parts.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError:
        return ""
    return parts.hostname or ""


@lru_cache(256)
def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
