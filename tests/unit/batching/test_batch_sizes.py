"""The size of a batch is shown where its own facts tell it, and else nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.batching.batch_sizes import BatchSizes
from rfctl.batching.hours import build_hours
from rfctl.batching.policy import Rule
from rfctl.store import PendingBatch

HOURS = build_hours(["mon-fri 09:00-18:00"], "UTC")


def batch(**facts: Any) -> PendingBatch:
    return PendingBatch(
        **{
            "phone": "7900",
            "size": 2,
            "due_ms": 0,
            "last_ms": 0,
            "batch_key": "7900",
            "channel": "salon",
            **facts,
        }
    )


def rule(**facts: Any) -> Rule:
    return Rule("r", **{"max_size": 3, **facts})


@pytest.mark.parametrize(
    ("rules", "facts", "size"),
    [
        ([], {}, 10),
        ([rule()], {}, 3),
        ([rule(sources=frozenset({"salon"}))], {}, 3),
        ([rule(sources=frozenset({"shop"}))], {}, 10),
        ([rule(sources=frozenset({"shop"}), words=frozenset({"stop"}))], {}, 10),
        ([rule(words=frozenset({"stop"}))], {}, None),
        ([rule(types=frozenset({"image"}))], {}, None),
        ([rule(prefixes=("/",))], {}, None),
        ([rule(companies=frozenset({"7"}))], {}, None),
        ([rule(hours=HOURS)], {}, None),
        ([rule(max_age_ms=1)], {}, None),
        ([rule(words=frozenset({"stop"}), max_size=None, quiet_ms=1)], {}, 10),
        ([rule(words=frozenset({"stop"})), rule(max_size=4)], {}, None),
        ([rule(max_size=4), rule(words=frozenset({"stop"}))], {}, 4),
        ([rule(), rule(action="wait_until_open", outside_hours=HOURS, max_size=None)], {}, None),
        ([rule(action="wait_until_open", outside_hours=HOURS, max_size=None)], {}, None),
        ([rule(phones=frozenset({"7900"}))], {}, 3),
        ([rule(phones=frozenset({"7901"}))], {}, 10),
        ([rule(phone_prefixes=("79",))], {}, 3),
        ([rule(phone_prefixes=("49",))], {}, 10),
        ([rule(accounts=frozenset({"a"}))], {"account": "a"}, 3),
        ([rule(accounts=frozenset({"a"}))], {"account": "b"}, 10),
        ([rule(chats=frozenset({"group"}))], {"chat": "family"}, 3),
        ([rule(chats=frozenset({"group"}))], {}, 10),
        ([rule()], {"channel": ""}, None),
        ([], {"channel": ""}, 10),
    ],
)
def test_size_is_what_the_facts_of_a_batch_tell(
    rules: list[Rule], facts: dict[str, Any], size: int | None
) -> None:
    assert BatchSizes(rules).find(batch(**facts), 10) == size
