"""The decisions about a message that outlive a release: what is remembered of it must be found again by the next."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rfctl.batching import BatchingRules, Policy, Timers
from rfctl.batching.policy import Rule
from rfctl.model.message import Message
from rfctl.sources.registry import SPECS
from rfctl.store import Terms, dedupe_key

RULES = BatchingRules(Policy(Timers(5000, 10, 60_000), []))
texts = st.text(st.characters(), max_size=8)


@given(texts, texts, st.lists(texts, max_size=3).map(tuple))
def test_id_is_remembered_by_its_scope_as_json(phone: str, message_id: str, scope: tuple[str, ...]) -> None:
    message = Message(
        phone=phone, text="x", id=message_id, channel="generic", account="a", chat="ж", id_scope=scope
    )
    named = scope or ("generic", "a", "ж", phone)
    digest = dedupe_key(json.dumps(named), message_id)
    key = RULES.build_dedupe_key(message)
    assert (key[:11], key[12:], len(key)) == (digest[:11], digest[12:], 16)


def message(text: str, channel: str = "generic") -> Message:
    return Message(phone="7", text=text, id="1", channel=channel)


def test_rule_decides_about_each_message_alone() -> None:
    stop = Rule("stop", words=frozenset({"stop"}), quiet_ms=1, action="send_alone")
    rules = BatchingRules(Policy(Timers(5000, 10, 60_000), [stop]), dedupe_s=60)
    usual, of_the_rule = Terms(60, 5000, 10, 60_000), Terms(60, 1, 10, 60_000, "send_alone")
    additions = rules.build_additions([message(text) for text in ("a", "stop", "b", "stop")])
    assert [addition.terms for addition in additions] == [usual, of_the_rule, usual, of_the_rule]


def test_ids_of_a_source_are_remembered_for_its_own_time() -> None:
    rules = BatchingRules(Policy(Timers(5000, 10, 60_000)), dedupe_s=60, source_dedupe_s={"telegram": 9})
    for _ in range(2):
        additions = rules.build_additions([message("a"), message("a", "telegram"), message("a", "other")])
        assert [addition.terms.dedupe_s for addition in additions] == [60, 9, 60]


def kind_of(**fields: Any) -> int:
    return RULES.build_dedupe_key(Message(phone="7", text="x", id="1", **{"channel": "a", **fields}))[11]


def test_kind_of_an_id_goes_by_the_first_name_in_its_scope_for_ever() -> None:
    kinds = [
        kind_of(id_scope=(name, "account", "1"))
        for name in ("generic", "telegram", "twilio", "whatsapp-cloud")
    ]
    assert kinds == [2, 21, 18, 6], "ids that are remembered would be forgotten"
    assert kind_of(channel="generic") == 2
    assert kind_of(channel="generic", id_scope=("telegram",)) == 21


def test_each_provider_has_a_kind_of_its_own() -> None:
    """Else their messages would ask for each other's ids."""
    assert len({kind_of(id_scope=(name,)) for name in SPECS}) == len(SPECS)
