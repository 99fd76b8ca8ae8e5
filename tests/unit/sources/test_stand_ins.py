"""Stand-ins for providers: what they write is read as one message of a person, and proves itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.simulation import Impersonation, build_impersonation
from rfctl.batching import Timers
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.toml_text import render_toml_section
from rfctl.errors import NothingFoundError, UsageError
from rfctl.simulation import PlannedMessage
from rfctl.sources.auth.config import parse_auth
from rfctl.sources.auth.signer import sign_request
from rfctl.sources.contract import Request
from rfctl.sources.presets import list_presets
from rfctl.sources.registry import SPECS
from tests.support.signed_requests import NOW_S, SENDERS, Sender

NOW_MS = NOW_S * 1000
PHONE = "99900000100001"
MESSAGE = PlannedMessage(0.0, PHONE, "sim-ab12cd-0-0", "rfctl simulate 1/1")
KEYED = {"secrets": ["pass_word"], "public_url": "https://bot.example.com"}
TYPES: dict[str, dict[str, Any]] = {
    **{kind: {"type": kind} for kind in SPECS},
    "map": {"type": "generic", "map": {"phone": "from", "text": "text", "id": "id"}},
}


def impersonate(tmp_path: Path, settings: dict[str, Any], more: str = "") -> Impersonation:
    return build_impersonation(load_settings(tmp_path, settings, more), "here", 7 * 10**8)


def load_settings(tmp_path: Path, settings: dict[str, Any], more: str = "") -> Any:
    file = tmp_path / "settings.toml"
    file.write_text(f"{render_toml_section('sources.here', {**KEYED, **settings})}\n{more}")
    file.chmod(0o600)
    return load(Environment({"HOME": str(tmp_path)}), file=file).settings


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "more",
    [{}, {"public_path": "/hooks/sms"}, {"auth": "hmac-sha256", "auth_header": "X-Sign"}, {"auth": "jwt"}, {"secrets": []}],
    ids=["own", "behind-a-proxy", "hmac", "jwt", "open"],
)  # fmt: skip
def test_source_takes_what_its_stand_in_writes(kind: str, more: dict[str, Any], tmp_path: Path) -> None:
    impersonation = impersonate(tmp_path, {**TYPES[kind], **more})
    message = impersonation.foresee(MESSAGE, 0, NOW_MS)  # it raises where the proof does not hold
    assert (message.phone.lstrip("+"), message.text, message.type) == (PHONE, MESSAGE.text, "text")
    assert message.simulated == (kind == "generic")
    request = impersonation.write(MESSAGE, 0, NOW_MS)
    source = impersonation.served.source
    wrong = Request(request.method, request.path, request.query, {}, request.body)
    assert not source.verify(wrong, NOW_MS)


@pytest.mark.parametrize("kind", TYPES)
def test_messages_of_a_run_are_told_apart_and_go_to_a_company_that_there_is(
    kind: str, tmp_path: Path
) -> None:
    has_account = kind not in (
        "generic",
        "telegram",
        "map",
    )  # these name none in a private chat, or by this map
    companies = {"companies": {"15551234567": 7}, "unknown_account": "quarantine"} if has_account else {}
    impersonation = impersonate(tmp_path, {**TYPES[kind], **companies})
    planned = [PlannedMessage(0.0, PHONE, f"sim-ab12cd-0-{place}", "x") for place in range(3)]
    foreseen = impersonation.foresee_all(planned, NOW_MS)
    assert len({message.id for message in foreseen}) == 3
    message = impersonation.foresee(planned[0], 0, NOW_MS)
    assert message.company == (7 if has_account else None)


@pytest.mark.parametrize("preset", list_presets())
def test_every_preset_can_be_simulated(preset: str, tmp_path: Path) -> None:
    impersonation = impersonate(tmp_path, {"preset": preset, "secrets": ["user:pass_word"]})
    message = impersonation.foresee(MESSAGE, 0, NOW_MS)
    assert (message.phone, message.text) == (PHONE, MESSAGE.text)


MAPS: list[dict[str, Any]] = [
    {"each": "entry.*.messaging.*", "phone": "sender.id", "text": "message.text", "id": "message.mid", "account": "^id"},
    {"each": "*", "phone": "a", "text": "b.0.c", "id": "d"},
    {"each": "messages", "phone": "from", "text": {"text": "text.body"}, "type": "type", "id": "id", "types": {"chat": "text"}},
    {"phone": "from", "text": {"edit": "other", "*": ["words", "text"]}, "type": "type", "id": "/a.b.c"},
    {"phone": "from", "text": "text", "id": "id", "event": "event", "messages": ["message", "edited"]},
    {"phone": "from", "text": "text", "id": "id", "only_if": {"kind": ["in", "new"], "state": "*"}, "own_if": "me"},
    {"phone": "from", "text": "text", "id": "id", "only_if": ["real", "other"], "time": "at", "name": "who.name"},
]  # fmt: skip


@pytest.mark.parametrize("mapping", MAPS)
def test_map_is_filled_where_it_looks(mapping: dict[str, Any], tmp_path: Path) -> None:
    message = impersonate(tmp_path, {"type": "generic", "map": mapping}).foresee(MESSAGE, 0, NOW_MS)
    assert (message.phone, message.text, message.id) == (PHONE, MESSAGE.text, MESSAGE.id)


PLAIN = {"phone": "from", "text": "text", "id": "id"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"map": {"phone": "from", "text": "text"}}, "its map has no id"),
        ({"map": PLAIN, "auth": {"type": "hmac", "body": "sign"}}, "its signature stands in the body that it signs"),
        ({"map": {**PLAIN, "own_if": "text"}}, "take such a message for no message, but for: own"),
        ({"map": {**PLAIN, "text": "from"}}, "its settings read another phone than was written"),
    ],
)  # fmt: skip
def test_source_that_cannot_be_simulated_is_told_in_words(
    settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as problem:
        impersonate(tmp_path, {"type": "generic", **settings}).foresee(MESSAGE, 0, NOW_MS)
    assert problem.value.fact.startswith("source here cannot be simulated: ")
    assert why in problem.value.fact
    assert "rfctl source try here" in problem.value.next


def test_telegram_wants_a_number_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="simulated-1 is no id of a Telegram user"):
        impersonate(tmp_path, {"type": "telegram"}).write(
            PlannedMessage(0.0, "simulated-1", "i", "x"), 0, NOW_MS
        )


def test_source_that_is_not_there_is_named_with_near_names(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match="there is no source her in the settings; did you mean here"):
        build_impersonation(load_settings(tmp_path, {"type": "telegram"}), "her", 0)


def test_messages_wait_by_the_timers_of_their_source_and_rules(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path, {"type": "telegram", "quiet_ms": 300}, '[rules.few]\nsources = ["here"]\nmax_size = 2\n'
    )
    timers = build_impersonation(settings, "here", 0).find_timers(
        settings, Timers(5000, 10, 9000), MESSAGE, NOW_MS
    )
    assert timers == Timers(300, 2, 9000)


def test_rule_that_lets_nothing_wait_is_named(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path, {"type": "telegram"}, '[rules.no]\nphones = ["999*"]\naction = "drop"\n'
    )
    with pytest.raises(UsageError, match="the rule no, which has the action drop"):
        build_impersonation(settings, "here", 0).find_timers(settings, Timers(1, 1, 1), MESSAGE, NOW_MS)


@pytest.mark.parametrize("sender", SENDERS.values(), ids=list(SENDERS))
def test_signer_proves_a_request_as_its_sender_does(sender: Sender) -> None:
    settings = sender.settings
    auth = parse_auth(settings.get("auth", "token"), settings.get("auth_header", ""))
    request = Request("POST", "/webhook/shop", "", {"content-type": b"application/json"}, b'{"from":"1"}')
    source, origin = sender.build_source(), settings.get("public_url", "")
    signed = sign_request(auth, sender.secret, request, now_ms=NOW_MS, origin=origin, message_id="m1")
    assert source.verify(signed, NOW_MS), source.explain_rejection(signed, NOW_MS)
    other = "other:secret" if ":" in sender.secret else "whsec_b3RoZXI="
    wrong = sign_request(auth, other, request, now_ms=NOW_MS, origin=origin, message_id="m1")
    assert not source.verify(wrong, NOW_MS)
