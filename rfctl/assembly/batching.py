"""From the settings to the rules by which messages are batched."""

from __future__ import annotations

from rfctl.assembly.sources import build_dedupe_times, has_tenants
from rfctl.batching import BatchingRules, Policy, Rule, Timers
from rfctl.batching.batch_sizes import BatchSizes
from rfctl.batching.hours import Hours, build_hours
from rfctl.batching.policy import OwnPolicy, compile_pattern, normalize_prefix, normalize_text
from rfctl.config.rules import RuleSettings
from rfctl.config.settings import Settings
from rfctl.model.message import Message, normalize_phone
from rfctl.model.stored import Merged
from rfctl.sources.config import OwnSourceConfig


def build_rules(settings: Settings) -> BatchingRules:
    """Return the rules of batching: policy, split fields and dedupe times.

    Where companies depend on accounts, each of them has a batch of its own of a person.
    """
    of_tenants = {"company"} if has_tenants(settings) else set()
    return BatchingRules(
        policy=build_policy(settings),
        split_by=frozenset(settings.batching.split_by) | of_tenants,
        dedupe_s=settings.batching.dedupe_s,
        source_dedupe_s=build_dedupe_times(settings),
        logs_drops=settings.delivery_log.max_bytes > 0,
    )


def build_policy(settings: Settings) -> Policy:
    """Return how long messages wait: the rules in the order of the settings, then each source's own timers."""
    batching = settings.batching
    rules = [_rule(name, rule) for name, rule in settings.rules.items()]
    own = [
        Rule(
            f"source {name}", sources=frozenset({name}),
            quiet_ms=source.quiet_ms, max_size=source.max_size, max_wait_ms=source.max_wait_ms,
        )
        for name, source in settings.sources.items()
    ]  # fmt: skip
    return Policy(
        Timers(batching.quiet_ms, batching.max_size, batching.max_wait_ms),
        (*rules, *own),
        _build_own(settings),
    )


def build_batch_sizes(settings: Settings) -> BatchSizes:
    """Return what tells how many messages a pending batch may have."""
    return BatchSizes(build_policy(settings).rules)


def _build_own(settings: Settings) -> dict[str, OwnPolicy]:
    return {
        name: OwnPolicy(
            source.own,
            source.own_hold_ms,
            source.own_pending == "discard",
            frozenset(normalize_text(word) for word in source.release_words),
        )
        for name, source in settings.sources.items()
        if isinstance(source, OwnSourceConfig)
    }


def find_discarding_rule(settings: Settings, merged: Merged) -> str:
    """Return the name of the rule by which a merged message threw away what was pending before it; "" for none.

    It goes by these settings, which may be others than those of then.
    """
    if not merged.discarded:
        return ""
    rules = [rule for rule in build_policy(settings).rules if rule.action]
    now_ms = merged.handed_ms
    for stored in merged.messages:
        message = Message(
            phone=merged.phone, text=stored.text, id=stored.messageId, channel=stored.channel, company=stored.company,
            account=stored.account, chat=stored.chat, type=stored.type, media=stored.media,
        )  # fmt: skip
        first = next((rule for rule in rules if rule.matches(message, now_ms)), None)
        if first is not None and first.action == "discard_batch":
            return first.name
    return ""


def _rule(name: str, rule: RuleSettings) -> Rule:
    return Rule(
        name=name,
        sources=frozenset(rule.sources),
        companies=frozenset(rule.companies),
        accounts=frozenset(rule.accounts),
        chats=frozenset(rule.chats),
        phones=frozenset(normalize_phone(phone) for phone in rule.phones if not phone.endswith("*")),
        phone_prefixes=tuple(normalize_phone(phone[:-1]) for phone in rule.phones if phone.endswith("*")),
        max_age_ms=rule.max_age_ms,
        hours=_build_hours(rule.hours, rule.zone),
        outside_hours=_build_hours(rule.outside_hours, rule.zone),
        types=frozenset(rule.types),
        words=frozenset(normalize_text(word) for word in rule.words),
        prefixes=tuple(normalize_prefix(prefix) for prefix in rule.prefixes),
        patterns=tuple(compile_pattern(pattern) for pattern in rule.patterns),
        action="" if rule.action == "wait" else rule.action,
        quiet_ms=rule.quiet_ms,
        max_size=rule.max_size,
        max_wait_ms=rule.max_wait_ms,
        hold_ms=rule.hold_ms,
    )


def _build_hours(texts: list[str], zone: str) -> Hours | None:
    return build_hours(texts, zone) if texts else None
