"""The decisions about a message that outlive a release: what is remembered of it must be found again by the next."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rfctl.batching import BatchingRules, Policy, Timers
from rfctl.model.message import Message
from rfctl.store import dedupe_key

RULES = BatchingRules(Policy(Timers(5000, 10, 60_000), []))
texts = st.text(st.characters(), max_size=8)


@given(texts, texts, st.lists(texts, max_size=3).map(tuple))
def test_id_is_remembered_by_its_scope_as_json(phone: str, message_id: str, scope: tuple[str, ...]) -> None:
    message = Message(
        phone=phone, text="x", id=message_id, channel="generic", account="a", chat="ж", id_scope=scope
    )
    named = scope or ("generic", "a", "ж", phone)
    assert RULES.build_dedupe_key(message) == dedupe_key(json.dumps(named), message_id)
