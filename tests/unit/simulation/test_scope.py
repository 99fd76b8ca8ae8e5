"""Ids of simulated messages have a scope of their own: they hide no message of a person."""

from __future__ import annotations

import json

import pytest

from rfctl.batching import BatchingRules, Policy, Timers
from rfctl.model.message import Message
from rfctl.sources.generic.node_form import Limits, parse_messages

RULES = BatchingRules(Policy(Timers(5000, 10, 60_000)))
LIMITS = Limits(1000, "", "generic", "whatsapp", "generic")


def post(**more: object) -> Message:
    body = {"from": "79001234567", "message": "x", "messageId": "m1", **more}
    [message] = parse_messages(json.dumps(body).encode(), LIMITS)
    return message


@pytest.mark.parametrize("more", [{}, {"companyId": 7}])
def test_simulated_id_is_not_the_id_of_a_person(more: dict[str, object]) -> None:
    real, simulated = post(**more), post(simulated=True, **more)
    assert RULES.build_dedupe_key(real) == RULES.build_dedupe_key(post(**more))
    assert RULES.build_dedupe_key(simulated) == RULES.build_dedupe_key(post(simulated=True, **more))
    assert RULES.build_dedupe_key(real) != RULES.build_dedupe_key(simulated)
