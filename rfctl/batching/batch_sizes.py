"""How many messages a pending batch may have: what the facts of the batch alone tell, and nothing where they do not.

The size is decided anew for each message that comes, by the rules that it meets. A rule on words, types or hours may be
met by the next message, so where one sets a size nobody knows the batch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.batching.policy import Rule
from rfctl.store import PendingBatch


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """The rules of a policy, in their order, as far as they set a size."""

    rules: Sequence[Rule] = ()

    def find(self, batch: PendingBatch, general: int | None) -> int | None:
        """Return how many messages a batch may have, None where that is not known. `general` is without any rule."""
        rules = [rule for rule in self.rules if _sets_size(rule) and _may_match(rule, batch)]
        if not rules:
            return general
        is_certain = bool(batch.channel) and all(rule.action != "wait_until_open" for rule in rules)
        return rules[0].max_size if is_certain and _has_facts_alone(rules[0]) else None


def _sets_size(rule: Rule) -> bool:
    return rule.max_size is not None or rule.action == "wait_until_open"


def _may_match(rule: Rule, batch: PendingBatch) -> bool:
    """Say whether a message of this batch may meet the rule: all of them have these facts in common."""
    if not batch.channel:
        return True  # no message tells what it is
    return (
        (not rule.sources or batch.channel in rule.sources)
        and (not rule.accounts or batch.account in rule.accounts)
        and (not rule.chats or ("group" if batch.chat else "private") in rule.chats)
        and (not (rule.phones or rule.phone_prefixes) or _names_phone(rule, batch.phone))
    )


def _names_phone(rule: Rule, phone: str) -> bool:
    return phone in rule.phones or phone.startswith(rule.phone_prefixes)


def _has_facts_alone(rule: Rule) -> bool:
    """Say whether all conditions are facts that a batch has: then each of its messages meets the rule."""
    others = (
        rule.companies, rule.max_age_ms, rule.hours, rule.outside_hours, rule.types, rule.words, rule.prefixes, rule.patterns,
    )  # fmt: skip
    return not any(others)
