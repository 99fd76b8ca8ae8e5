"""How long to wait for a person, and what does not wait; pure. The scripts are told numbers and know nothing of why.

A rule says whom it is for (sources, companies, accounts), which messages (types, and the whole text by words,
prefixes or patterns) and what follows: other timers, or what becomes of the batch at once. Each timer and the
consequence come from the first rule that matches and sets it, else from the general timers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import re2

from rfctl.model.closed_sets import Action
from rfctl.model.message import Message

MATCHED_CHARS = 1024
"""A longer text is no command: no words, prefix or pattern matches it."""
_BEHIND = " .!?…"
_LOOKS = dict.fromkeys((0xFE0E, 0xFE0F))
"""Variation selectors: they only choose whether an emoji is in colour, and one phone sends them, another does not."""
_NOT_SAID = frozenset({"reaction", "deletion", "system", "location", "contacts", "unsupported"})
"""Types whose text is no words of the person: an emoji under our words, a notice of the provider, batching.placeholder."""


class Pattern(Protocol):
    """A compiled expression of RE2. It takes time in proportion to the text: a stranger's cannot hold up the daemon."""

    def fullmatch(self, text: bytes, /) -> object | None:
        """Return something if the whole text, in UTF-8, is meant, else None."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The three timers of a batch: silence, size and the longest wait (ms, messages, ms)."""

    quiet_ms: int
    max_size: int
    max_wait_ms: int

    @property
    def longest_ms(self) -> int:
        """No batch is due further away than this."""
        return max(self.quiet_ms, self.max_wait_ms)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; an empty condition matches everything, a timer of None is left to the next rule."""

    name: str
    sources: frozenset[str] = frozenset()
    companies: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    action: Action = ""
    quiet_ms: int | None = None
    max_size: int | None = None
    max_wait_ms: int | None = None

    def matches(self, message: Message) -> bool:
        """Say whether this message is meant."""
        return self._is_for(message) and self._says(message)

    def _is_for(self, message: Message) -> bool:
        return (
            (not self.sources or message.channel in self.sources)
            and (not self.companies or (message.company or "") in self.companies)
            and (not self.accounts or message.account in self.accounts)
            and (not self.types or message.type in self.types)
        )

    def _says(self, message: Message) -> bool:
        if not (self.words or self.prefixes or self.patterns):
            return True
        if len(message.text) > MATCHED_CHARS or not (self.types or _is_said(message)):
            return False
        return (
            comparable_text(message.text) in self.words
            or comparable_prefix(message.text).startswith(self.prefixes)
            or self._fits(message.text.strip().encode(errors="replace"))
        )

    def _fits(self, text: bytes) -> bool:
        return any(pattern.fullmatch(text) for pattern in self.patterns)


def _is_said(message: Message) -> bool:
    """Say whether the text is the person's own words; a picture with the caption "stop" is not just "stop"."""
    return not message.media and message.type not in _NOT_SAID


def comparable_prefix(text: str) -> str:
    """Return the form in which prefixes are compared: no case, no white space before it; that behind it counts."""
    return unicodedata.normalize("NFKC", text.translate(_LOOKS)).casefold().lstrip()


def comparable_text(text: str) -> str:
    """Return the form in which words are compared: no case, and neither white space nor a full stop behind them."""
    said = comparable_prefix(text).rstrip()
    return said.rstrip(_BEHIND) or said


def compile_pattern(pattern: str) -> Pattern:
    """Return a pattern that can be matched. Raises ValueError with what RE2 has against it."""
    options = re2.Options()
    options.log_errors = False  # it would print them
    options.never_capture = True  # whether it fits is all that is asked, and is found faster
    try:
        made: Pattern = re2.compile(pattern.encode(), options)
    except re2.error as problem:
        raise ValueError(problem.args[0].decode(errors="replace")) from None
    return made


@dataclass(frozen=True, slots=True)
class Decision:
    """What the scripts are told about one message (ms, messages)."""

    quiet_ms: int
    max_size: int
    max_wait_ms: int
    action: Action = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The general timers and the rules, in the order in which they are asked."""

    timers: Timers
    rules: Sequence[Rule] = ()

    @property
    def longest_ms(self) -> int:
        """No batch is due further away than this, whatever rule it is under."""
        waits = [
            wait for rule in self.rules for wait in (rule.quiet_ms, rule.max_wait_ms) if wait is not None
        ]
        return max([self.timers.longest_ms, *waits])

    @property
    def shortest_ms(self) -> int:
        """No batch is due sooner after a message than this, but for its longest wait."""
        return min(
            [self.timers.quiet_ms, *(rule.quiet_ms for rule in self.rules if rule.quiet_ms is not None)]
        )

    def decide(self, message: Message) -> Decision:
        """Return how long this message's batch waits for the next one, and what it does at once."""
        matching = [rule for rule in self.rules if rule.matches(message)]
        timers = self.timers
        return Decision(
            _first((rule.quiet_ms for rule in matching), timers.quiet_ms),
            _first((rule.max_size for rule in matching), timers.max_size),
            _first((rule.max_wait_ms for rule in matching), timers.max_wait_ms),
            next((rule.action for rule in matching if rule.action), ""),
        )


def _first(values: Iterable[int | None], otherwise: int) -> int:
    return next((value for value in values if value is not None), otherwise)
