"""Decides how long a batch waits for the next message, and which messages do not wait. Pure.

A rule has conditions: whose the message is and who sent it, its type, its age, the hours in which it comes, and the
whole text by words, prefixes or patterns. It sets timers, or an action. Each timer and the action come from the first
rule that matches and sets it, else from the general timers. The time is an argument. The scripts get numbers, and no
reasons but the name of a rule that drops.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Protocol

import msgspec

from rfctl.batching.hours import Hours
from rfctl.errors import write_install_line
from rfctl.model.closed_sets import Action, OwnWords
from rfctl.model.company import format_company
from rfctl.model.message import OWN_TYPE, Message

MATCHED_CHARS = 1024
"""A longer text is no command: no words, prefix or pattern matches it."""
MOST_UNTIL_OPEN = 1000
"""So many messages at most wait for the opening, where their rule has no max_size."""
_NO_LIMIT_MS = 366 * 86_400_000
"""A longest wait that no batch reaches: until the opening, none counts."""
_END_MARKS = " .!?…"
_VARIATION_SELECTORS = dict.fromkeys((0xFE0E, 0xFE0F))
"""They only choose whether an emoji is in colour. Some phones send them, others do not."""
_FOREIGN_TEXT = frozenset({"reaction", "deletion", "system", "location", "contacts", "unsupported"})
"""Types whose text is not the person's words: an emoji under our words, a provider's notice, batching.placeholder."""


class Pattern(Protocol):
    """A compiled expression of RE2. Its time is in proportion to the text, so no text stops the daemon."""

    def fullmatch(self, text: bytes, /) -> object | None:
        """Return a match if the whole text, in UTF-8, fits, else None."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers of a batch: how long a silence (ms), how many messages, and how long in all (ms)."""

    quiet_ms: int
    max_size: int
    max_wait_ms: int

    @property
    def longest_ms(self) -> int:
        """The longest time until a batch is due."""
        return max(self.quiet_ms, self.max_wait_ms)


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions on a message, and what follows. An empty condition matches everything; a timer of None is not set.

    `chats` are group or private. `phones` and `phone_prefixes` are normalized. `max_age_ms` matches what was sent longer
    ago. `hours` and `outside_hours` go by the time at which the message came.
    """

    name: str
    sources: frozenset[str] = frozenset()
    companies: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    chats: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    phone_prefixes: tuple[str, ...] = ()
    max_age_ms: int | None = None
    hours: Hours | None = None
    outside_hours: Hours | None = None
    types: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    action: Action = ""
    quiet_ms: int | None = None
    max_size: int | None = None
    max_wait_ms: int | None = None
    hold_ms: int = 0

    def matches(self, message: Message, now_ms: int) -> bool:
        """Say whether the message, which comes now (Unix ms), meets every condition."""
        return (
            self._matches_fields(message)
            and self._matches_sender(message)
            and self._matches_time(message, now_ms)
            and self._matches_text(message)
        )

    def _matches_fields(self, message: Message) -> bool:
        return (
            (not self.sources or message.channel in self.sources)
            and (not self.companies or format_company(message.company) in self.companies)
            and (not self.accounts or message.account in self.accounts)
            and (not self.types or message.type in self.types)
        )

    def _matches_sender(self, message: Message) -> bool:
        if self.chats and ("group" if message.chat else "private") not in self.chats:
            return False
        if not (self.phones or self.phone_prefixes):
            return True
        return message.phone in self.phones or message.phone.startswith(self.phone_prefixes)

    def _matches_time(self, message: Message, now_ms: int) -> bool:
        if self.max_age_ms is not None and not is_older(message, self.max_age_ms, now_ms):
            return False
        if self.hours is not None and not self.hours.has(now_ms):
            return False
        return self.outside_hours is None or not self.outside_hours.has(now_ms)

    def _matches_text(self, message: Message) -> bool:
        if not (self.words or self.prefixes or self.patterns):
            return True
        if len(message.text) > MATCHED_CHARS or not (self.types or _is_own_text(message)):
            return False
        return (
            normalize_text(message.text) in self.words
            or normalize_prefix(message.text).startswith(self.prefixes)
            or self._matches_pattern(message.text.strip().encode(errors="replace"))
        )

    def _matches_pattern(self, text: bytes) -> bool:
        return any(pattern.fullmatch(text) for pattern in self.patterns)


def _is_own_text(message: Message) -> bool:
    """Say whether the text is the person's own words; a picture with the caption "stop" is not just "stop"."""
    return not message.media and message.type not in _FOREIGN_TEXT


def is_older(message: Message, age_ms: int, now_ms: int) -> bool:
    """Say whether a message was sent longer ago; one whose time of sending nobody knows was not."""
    return message.sent_ms is not None and now_ms - message.sent_ms > age_ms


def normalize_prefix(text: str) -> str:
    """Return the form in which prefixes are compared: without case and leading white space."""
    return unicodedata.normalize("NFKC", text.translate(_VARIATION_SELECTORS)).casefold().lstrip()


def normalize_text(text: str) -> str:
    """Return the form in which words are compared: without case, white space around them and marks at the end."""
    text = normalize_prefix(text).rstrip()
    return text.rstrip(_END_MARKS) or text


class PatternsMissingError(ValueError):
    """RE2 is not installed here. `next` is the line that installs it."""

    def __init__(self, why: str) -> None:
        self.next = write_install_line("patterns")
        super().__init__(f"a pattern needs google-re2, which cannot be imported: {why}")


def import_re2() -> ModuleType:
    """Return the library of RE2, which only patterns need. Raises PatternsMissingError: not every system has it."""
    try:
        return import_module("re2")
    except ImportError as problem:
        raise PatternsMissingError(str(problem)) from None


def compile_pattern(pattern: str) -> Pattern:
    """Return a pattern that can be matched. Raises ValueError with the fault that RE2 names, and what `import_re2` raises."""
    re2 = import_re2()
    options = re2.Options()
    options.log_errors = False  # it would print them
    options.never_capture = True  # only whether it matches is asked, which is faster
    try:
        compiled: Pattern = re2.compile(pattern.encode(), options)
    except re2.error as problem:
        raise ValueError(problem.args[0].decode(errors="replace")) from None
    return compiled


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The timers (ms, messages) and the action for one message. `rule` is the name of the rule that drops it, else "".

    With a hold, quiet_ms is how long it lasts.
    """

    quiet_ms: int
    max_size: int
    max_wait_ms: int
    action: Action = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """What the words of somebody on our side do, for one source.

    ignore only looks for release words. close throws the pending batch away where `discards`, else
    hands it over. hold lasts for `hold_ms`, and words of ours that are one of `release_words` end it.
    """

    own: OwnWords
    hold_ms: int = 0
    discards: bool = False
    release_words: frozenset[str] = frozenset()

    def choose_action(self, message: Message) -> Action:
        """Return what becomes of the batch of the person to whom these words of ours were sent."""
        if self.release_words and normalize_text(message.text) in self.release_words:
            return "own_release"
        if self.own == "hold":
            return "own_hold"
        if self.own == "close":
            return "own_discard" if self.discards else "own_close"
        return "" if self.own == "pass" else "own_ignore"


@dataclass(frozen=True, slots=True)
class Policy:
    """The general timers, the rules in their order, and by source what words of our own side do."""

    timers: Timers
    rules: Sequence[Rule] = ()
    own: Mapping[str, OwnPolicy] = field(default_factory=dict)
    general: Decision = field(init=False)
    """What is decided for a message that no rule matches: for most of them."""

    def __post_init__(self) -> None:
        timers = self.timers
        general = Decision(timers.quiet_ms, timers.max_size, timers.max_wait_ms)
        object.__setattr__(self, "general", general)

    @property
    def longest_ms(self) -> int:
        """The longest time until a batch is due, under any rule."""
        waits = [
            wait for rule in self.rules for wait in (rule.quiet_ms, rule.max_wait_ms) if wait is not None
        ]
        waits += [
            rule.outside_hours.longest_closed_ms
            for rule in self.rules
            if rule.action == "wait_until_open" and rule.outside_hours is not None
        ]
        return max([self.timers.longest_ms, *waits])

    @property
    def shortest_ms(self) -> int:
        """The shortest time after which a batch is due, under any rule: by its silence, or by its longest wait."""
        waits = [
            wait for rule in self.rules for wait in (rule.quiet_ms, rule.max_wait_ms) if wait is not None
        ]
        return min([self.timers.quiet_ms, self.timers.max_wait_ms, *waits])

    def list_matching(self, message: Message, now_ms: int) -> list[Rule]:
        """Return the rules that a message meets which comes now (Unix ms), in their order."""
        return [rule for rule in self.rules if rule.matches(message, now_ms)]

    def decide(self, message: Message, now_ms: int) -> Decision:
        """Return how long the batch of a message that comes now (Unix ms) waits, and what happens to it at once."""
        general = self.general
        if message.type == OWN_TYPE and (decision := self._decide_own(message)):
            return decision
        matching = self.list_matching(message, now_ms) if self.rules else ()
        if not matching:
            return general
        # Rules are for what people send: words of our own side set one off only where it names their type.
        acting = next(
            (rule for rule in matching if rule.action and (message.type != OWN_TYPE or rule.types)), None
        )
        if acting is not None and acting.action == "hold":
            return msgspec.structs.replace(general, quiet_ms=acting.hold_ms, action="hold")
        if acting is not None and acting.outside_hours is not None and acting.action == "wait_until_open":
            wait_ms = acting.outside_hours.measure_wait(now_ms)
            return Decision(wait_ms, acting.max_size or MOST_UNTIL_OPEN, _NO_LIMIT_MS)
        return Decision(
            _first_set((rule.quiet_ms for rule in matching), general.quiet_ms),
            _first_set((rule.max_size for rule in matching), general.max_size),
            _first_set((rule.max_wait_ms for rule in matching), general.max_wait_ms),
            acting.action if acting is not None else "",
            acting.name if acting is not None and acting.action == "drop" else "",
        )

    def _decide_own(self, message: Message) -> Decision | None:
        """Return what words of somebody on our side do to the batch; None: they are passed on as a message."""
        own = self.own.get(message.channel)
        action = own.choose_action(message) if own is not None else ""
        if own is None or not action:
            return None
        quiet_ms = own.hold_ms if action == "own_hold" else self.general.quiet_ms
        return msgspec.structs.replace(self.general, quiet_ms=quiet_ms, action=action)


def _first_set(values: Iterable[int | None], default: int) -> int:
    return next((value for value in values if value is not None), default)
