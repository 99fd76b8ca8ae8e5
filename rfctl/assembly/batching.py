"""From the settings to the rules by which messages are batched."""

from __future__ import annotations

from rfctl.assembly.sources import build_dedupe_times
from rfctl.batching import BatchingRules, Policy, Rule, Timers
from rfctl.batching.policy import compile_pattern, normalize_prefix, normalize_text
from rfctl.config.rules import RuleSettings
from rfctl.config.settings import Settings


def build_rules(settings: Settings) -> BatchingRules:
    """Return the rules of batching: policy, split fields and dedupe times."""
    return BatchingRules(
        policy=build_policy(settings),
        split_by=frozenset(settings.batching.split_by),
        dedupe_s=settings.batching.dedupe_s,
        source_dedupe_s=build_dedupe_times(settings),
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
    return Policy(Timers(batching.quiet_ms, batching.max_size, batching.max_wait_ms), (*rules, *own))


def _rule(name: str, rule: RuleSettings) -> Rule:
    return Rule(
        name=name,
        sources=frozenset(rule.sources),
        companies=frozenset(rule.companies),
        accounts=frozenset(rule.accounts),
        types=frozenset(rule.types),
        words=frozenset(normalize_text(word) for word in rule.words),
        prefixes=tuple(normalize_prefix(prefix) for prefix in rule.prefixes),
        patterns=tuple(compile_pattern(pattern) for pattern in rule.patterns),
        action="" if rule.action == "wait" else rule.action,
        quiet_ms=rule.quiet_ms,
        max_size=rule.max_size,
        max_wait_ms=rule.max_wait_ms,
    )
