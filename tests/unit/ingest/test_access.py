"""Who may call what: each row of the manual's table against an app, and every sign that a request is not ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlencode

import httpx
import pytest

from rfctl.ingest.access import ACCESS, Caller, Gate
from rfctl.ingest.app import Webhook
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.head import Head
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.rejections import Reason
from rfctl.page import Actions, Door, Page, Sampler
from rfctl.sources.contract import ParseResult, ServedSource, Source
from rfctl.store.holds import Hold, Released
from tests.support.logouts import NobodyElsewhere

PAGE = (Path(__file__).parents[3] / "man" / "rfctl.7").read_text()
TABLE = [
    tuple(cell.strip() for cell in row.split(" Ta "))
    for row in re.findall(r"(?m)^\.It ((?:GET|POST|DELETE) .*)$", PAGE)
]
SIGNED = {"X-Signature": "good"}
NAMED = {"hub.verify_token": "good"}
BEARER = {"Authorization": "Bearer good"}
CSRF = "csrf"


def test_manual_has_the_table() -> None:
    assert [tuple(row) for row in ACCESS] == TABLE
    assert {caller for _, _, caller in ACCESS} == set(get_args(Caller))


def test_manual_names_every_reason() -> None:
    listed = PAGE.partition("The reasons are:\n")[2].partition("\n.El")[0]
    names = [name for row in re.findall(r"(?m)^\.It (.*)$", listed) for name in row.split(" , ")]
    assert sorted(names) == sorted(get_args(Reason))


class FakeSource(Source):
    """A source that verifies one header and one token, and understands everything."""

    def verify(self, request: Any, now_ms: int) -> bool:
        return bool(request.header("x-signature") == b"good")

    def parse(self, body: bytes) -> ParseResult:
        return ParseResult()

    def handshake(self, request: Any) -> str | None:
        return "hello" if "good" in request.query else None


class FakeStore:
    """A store with no batch, and counters that nobody reads."""

    batches: Any
    counters: Any
    holds: Any

    def __init__(self) -> None:
        self.batches = self.counters = self.holds = self.paused_sinks = self

    def mark(self, name: str) -> None: ...

    def add(self, counts: Any) -> None: ...

    async def find_batches(self, phone: str) -> list[str]:
        return []

    async def name_batches(self, phone: str, split_by: Any, **where: str) -> list[str]:
        return [phone]

    async def hold(self, batch_key: str, phone: str, **how: Any) -> Hold:
        return Hold(batch_key)

    async def find(self, phone: str) -> list[Hold]:
        return [Hold(phone)]

    async def release(self, batch_key: str, phone: str, how: str) -> Released:
        return Released(batch_key, [], 0)

    paused_sinks: Any
    shards: Any = ()

    async def list(self) -> dict[str, str]:
        return {}

    async def resume(self, sink: str) -> bool:
        return True

    async def pending(self, limit: int) -> Any:
        return type("Pending", (), {"next_due": [], "batches": 0, "now_ms": 0})


def build_app(where: str) -> Any:
    """Return the app under the settings of one row of the table."""
    has_secrets = where in ("secrets", "verify_token", "secrets of generic")
    served = {
        name: ServedSource(
            name, "generic", cast(Any, FakeSource()), verified=has_secrets, insecure="insecure" in where,
            json_only=not has_secrets, handshake_hint="look" if where == "verify_token" else "",
        )
        for name in ("generic", "NAME")
    }  # fmt: skip

    async def store_nothing(_: Any) -> Any:
        return []

    def check() -> tuple[str, dict[str, Any]]:
        return "", {"redis": "redis://secret.internal"}

    store: Any = FakeStore()
    tokens = {
        "http.admin_token": ("good", "other"),
        "http.metrics_token": ("other", "good"),
    }.get(where, ("", ""))
    gate = Gate(tokens[0], frozenset({"bot.internal"}), tokens[1])
    receiver = Receiver(served, GroupCommit(store_nothing), store, store, gate=gate)
    actions = Actions(store, lambda: ["NAME"], list)
    page = Page(
        Door(gate, NobodyElsewhere(), CSRF),
        Sampler(see_nothing),
        actions,
        find_nothing,
        receiver.rejections,
        receiver.budget,
        "on",
    )
    return Webhook(receiver, store, check).create_app(page.list_routes())


async def see_nothing() -> Any:
    return {}


async def find_nothing(name: str) -> Any:
    """Return the trail of somebody of whom nothing is known."""
    return type("Trail", (), {"is_empty": True})


async def ask(
    app: Any, request: str, *, peer: str = "127.0.0.1", host: str = "127.0.0.1:3000", **more: Any
) -> int:
    """Return the status of the answer; no batch (404) is an answer to somebody who may ask."""
    method, path = request.split()
    if path == "/page/events":
        method = "HEAD"  # the answer to a GET has no end
    transport = httpx.ASGITransport(app, client=(peer, 5))
    headers = [("Content-Type", "application/json"), ("Host", host), *more.get("headers", {}).items()]
    headers.append(("X-Rfctl-Csrf", CSRF))
    params = {**more.get("params", {}), "phone": "7"}
    token = {"token": params.get("hub.verify_token", "")}
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.request(
            method, path.replace("PHONE", "7").replace("actions/NAME", "actions/resume"), headers=headers, params=params,
            content=urlencode(token) if path == "/page/login" else '{"sink": "NAME"}',
        )  # fmt: skip
    is_nothing = answer.status_code == 404 and re.search("no batch|nothing of this person", answer.text)
    return 200 if is_nothing or answer.status_code in (303, 409) else answer.status_code


CALLERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "this machine": ({}, {"this machine", "anybody"}),
    "the page here": (
        {"headers": {"Origin": "http://127.0.0.1:3000"}}, {"this machine", "anybody", "the page here"},
    ),
    "the page here, of another port": (
        {"headers": {"Origin": "http://127.0.0.1:3001"}}, {"this machine", "anybody"},
    ),
    "this machine by a name": ({"host": "bot.internal"}, {"this machine", "anybody"}),
    "this machine by IPv6": ({"peer": "::1", "host": "[::1]:3000"}, {"this machine", "anybody"}),
    "a page of this machine": ({"headers": {"Origin": "http://localhost:5173"}}, {"this machine", "anybody"}),
    "a stranger": ({"peer": "203.0.113.9"}, {"anybody"}),
    "a stranger with our host": ({"peer": "203.0.113.9", "host": "localhost"}, {"anybody"}),
    "a proxy": ({"headers": {"X-Forwarded-For": "203.0.113.9"}}, {"anybody"}),
    "a rebound name": ({"host": "evil.example"}, {"anybody"}),
    "a foreign page": ({"headers": {"Origin": "https://evil.example"}}, {"anybody"}),
    "a stranger who signs": ({"peer": "203.0.113.9", "headers": SIGNED}, {"anybody", "who signs"}),
    "a stranger with a token": (
        {"peer": "203.0.113.9", "headers": BEARER}, {"anybody", "the bearer of the token"},
    ),
    "a stranger with another token": (
        {"peer": "203.0.113.9", "headers": {"Authorization": "Bearer goo"}}, {"anybody"},
    ),
    "a stranger who names the token": (
        {"peer": "203.0.113.9", "params": NAMED}, {"anybody", "who names the token"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("request_", "where", "who"), TABLE)
async def test_row_of_the_table_is_true_of_every_caller(
    request_: str, where: str, who: str, caller: str
) -> None:
    more, allowed = CALLERS[caller]
    status = await ask(build_app(where), request_, **more)
    assert (status == 200) == (who in allowed), status
    assert status in (200, 401, 403)


async def test_every_route_is_in_the_table() -> None:
    routes = {(method, route.path) for route in build_app("-").routes for method in route.methods - {"HEAD"}}
    routes |= {
        (method, route.path)
        for route in build_app("http.admin_token").routes
        for method in route.methods - {"HEAD"}
    }
    paths = {"{name}": "NAME", "/{phone:rest}": "/PHONE", "/{event:rest}": ""}
    listed = {tuple(row[0].split()) for row in TABLE}
    for method, path in routes:
        for sign, word in paths.items():
            path = path.replace(sign, word)
        assert (method, path) in listed


def build_head(*headers: tuple[str, str], peer: str = "127.0.0.1", version: str = "1.1") -> Head:
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Head("GET", "/", "/", "", version, fields, peer)


HOST = ("Host", "localhost")


@pytest.mark.parametrize(
    "head",
    [
        build_head(HOST),
        build_head(("Host", "LOCALHOST:80")),
        build_head(("Host", "127.0.0.1")),
        build_head(("Host", "127.8.8.8:9")),
        build_head(("Host", "[::1]")),
        build_head(("Host", "[::ffff:127.0.0.1]:80"), peer="::ffff:127.0.0.1"),
        build_head(("Host", "bot.internal:3000")),
        build_head(HOST, ("Origin", "https://[::1]:8443")),
    ],
)
def test_request_of_this_machine_raises_no_doubt(head: Head) -> None:
    assert Gate("", frozenset({"bot.internal"})).find_doubt(head) is None


@pytest.mark.parametrize(
    ("head", "reason", "status"),
    [
        (build_head(HOST, peer=""), "not-local", 401),
        (build_head(HOST, peer="10.0.0.1"), "not-local", 401),
        (build_head(HOST, ("Via", "1.1 x")), "proxied", 401),
        (build_head(HOST, ("Forwarded", "for=1.2.3.4")), "proxied", 401),
        (build_head(HOST, ("X-Forwarded-Proto", "https")), "proxied", 401),
        (build_head(HOST, ("CF-Connecting-IP", "1.2.3.4")), "proxied", 401),
        (build_head(HOST, version="1.0"), "proxied", 401),
        (build_head(), "host", 403),
        (build_head(HOST, HOST), "host", 403),
        (build_head(("Host", "")), "host", 403),
        (build_head(("Host", "localhost.evil.example")), "host", 403),
        (build_head(("Host", "localhost@evil.example")), "host", 403),
        (build_head(("Host", "evil.example@localhost")), "host", 403),
        (build_head(("Host", "evil.example#localhost")), "host", 403),
        (build_head(("Host", "evil.example, localhost")), "host", 403),
        (build_head(("Host", "localhost:x")), "host", 403),
        (build_head(("Host", "10.0.0.1")), "host", 403),
        (build_head(("Host", "[::1")), "host", 403),
        (build_head(HOST, ("Origin", "null")), "origin", 403),
        (build_head(HOST, ("Origin", "https://evil.example")), "origin", 403),
        (build_head(HOST, ("Origin", "file://localhost")), "origin", 403),
        (build_head(HOST, ("Origin", "https://evil.example@localhost")), "origin", 403),
        (
            build_head(HOST, ("Origin", "http://localhost"), ("Origin", "http://evil.example")),
            "origin",
            403,
        ),
    ],
)
def test_doubt_has_its_reason_and_status(head: Head, reason: str, status: int) -> None:
    doubt = Gate().find_doubt(head)
    assert doubt is not None
    assert (doubt.reason, doubt.status) == (reason, status)


async def test_rejection_says_which_setting_would_allow_it() -> None:
    transport = httpx.ASGITransport(build_app("no secrets"), client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as http:
        answer = await http.post("/webhook/NAME", json={})
        stats = await http.get("/webhook/whatsapp/batched/stats")
    assert answer.status_code == stats.status_code == 403
    assert "the Host is 'evil.example'" in answer.json()["error"]
    assert "http.allowed_hosts" in answer.json()["error"]
    assert "set sources.NAME.secrets" in answer.json()["error"]
    assert "http.admin_token" in stats.json()["error"]
