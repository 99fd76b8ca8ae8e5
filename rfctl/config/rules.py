"""Settings of [rules.NAME]: conditions and effects. batching/policy.py applies them."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rfctl.batching.hours import find_zone, parse_span
from rfctl.batching.policy import PatternsMissingError, compile_pattern, import_re2, normalize_prefix
from rfctl.model.closed_sets import MESSAGE_TYPES
from rfctl.model.message import normalize_phone
from rfctl.section import (
    DAY_MS,
    Example,
    Fault,
    Section,
    Word,
    Words,
    parse_lines,
    parse_list,
    raise_faults,
    split_keeping_ends,
)

TYPES = MESSAGE_TYPES
_TIMERS = ("quiet_ms", "max_size", "max_wait_ms")
_CONDITIONS = (
    "words", "prefixes", "patterns", "types", "sources", "companies", "accounts", "chats", "phones", "max_age_ms", "hours",
    "outside_hours",
)  # fmt: skip
_ALIKE = 0.75
"""What one slip of the pen leaves of a word of four letters (difflib's ratio); other words have less in common."""
_NO_PERL = ("invalid perl operator", "invalid escape sequence")


def _is_no_slip(kind: str) -> str:
    near = difflib.get_close_matches(kind.lower(), TYPES, n=1, cutoff=_ALIKE)
    # live_location is near to location, and no slip of the pen.
    if kind not in TYPES and near and abs(len(near[0]) - len(kind)) <= 1:
        raise ValueError(f"there is no type {kind}; did you mean {near[0]}?")
    return kind


def _has_words(word: str) -> str:
    if not normalize_prefix(word):
        raise ValueError("one of them is empty: white space alone is no word")
    return word


def _compiles(pattern: str) -> str:
    _has_words(pattern)
    try:
        compile_pattern(pattern)
    except ValueError as problem:
        lacks = "; RE2 has no lookaround and no back references" if str(problem).startswith(_NO_PERL) else ""
        raise ValueError(f"{pattern} is no expression of RE2: {problem}{lacks}") from None
    return pattern


def _parse_patterns(value: Any) -> Any:
    """Split a text into patterns, one a line; without RE2 there can be none."""
    patterns = parse_lines(value)
    try:
        if patterns:
            import_re2()
    except PatternsMissingError as problem:
        raise ValueError(f"{problem}; `{problem.next}`") from None
    return patterns


def _names_hours(text: str) -> str:
    parse_span(text)
    return text


def _names_zone(name: str) -> str:
    if name:
        find_zone(name)
    return name


def _is_phone(phone: str) -> str:
    if not normalize_phone(phone.removesuffix("*")) or "*" in phone[:-1]:
        raise ValueError(f"{phone} is no phone; a star at its end stands for any digits")
    return phone


EXAMPLES = (
    Example(
        "A stop word discards the pending batch, and goes to the bot by itself",
        "stop",
        {"words": ["stop", "стоп", "отмена"], "action": "discard_batch"},
    ),
    Example(
        "A command goes to the bot by itself, behind the pending batch",
        "commands",
        {"prefixes": ["/"], "action": "send_alone"},
    ),
    Example(
        "Pictures wait longer, for the words that may follow them",
        "pictures",
        {"types": ["image", "video"], "quiet_ms": 8000},
    ),
    Example("Nothing of a group reaches the bot", "groups", {"chats": ["group"], "action": "drop"}),
    Example(
        "What a gateway brings an hour late or more, after a reconnect, is dropped",
        "late",
        {"max_age_ms": 3_600_000, "action": "drop"},
    ),
    Example(
        "At night and at weekends messages wait, and each person's leave as one when you open",
        "closed",
        {"outside_hours": ["mon-fri 09:00-18:00"], "zone": "Europe/Moscow", "action": "wait_until_open"},
    ),
    Example(
        "Who asks for a person gets one: the bot gets nothing for two hours",
        "operator",
        {"words": ["operator", "оператор"], "action": "hold", "hold_ms": 7_200_000},
    ),
    Example(
        "Timers of one company by day",
        "barber",
        {
            "companies": [962302],
            "hours": ["09:00-18:00"],
            "zone": "Europe/Moscow",
            "quiet_ms": 3000,
            "max_size": 5,
        },
    ),
)
_Phrase = Annotated[Word, AfterValidator(_has_words)]
_Type = Annotated[Word, AfterValidator(_is_no_slip)]
_Phone = Annotated[Word, AfterValidator(_is_phone)]
_Hours = Annotated[list[Annotated[str, AfterValidator(_names_hours)]], BeforeValidator(parse_list)]
_Pattern = Annotated[str, AfterValidator(_compiles)]


class RuleSettings(Section):
    """Which messages a rule is for, and what it changes for them. For each effect the first matching rule wins."""

    sources: Words = Field(
        default_factory=list, description="Only messages of these sources.", examples=[["generic"]]
    )
    companies: Words = Field(
        default_factory=list, description="Only messages to these companies.", examples=[["962302"]]
    )
    accounts: Words = Field(
        default_factory=list,
        description="Only messages to these accounts of a provider.",
        examples=[["106540352242922"]],
    )
    types: Annotated[list[_Type], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description=f"Only messages of these types: {', '.join(TYPES)}, or a provider's own.",
        examples=[["image", "video"]],
    )
    words: Annotated[list[_Phrase], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description="The whole message is one of these words, in any case. A full stop or exclamation mark at its end does "
        "not count. words never matches a reaction, a deletion or the caption of a picture, unless types names that type.",
        examples=[["stop", "стоп"]],
    )
    prefixes: Annotated[list[_Phrase], BeforeValidator(split_keeping_ends)] = Field(
        default_factory=list,
        description="The message begins with one of these, in any case. A space at the end counts. The exceptions of words "
        "hold here too.",
        examples=[["/"]],
    )
    patterns: Annotated[list[_Pattern], BeforeValidator(_parse_patterns)] = Field(
        default_factory=list,
        description="The whole message, up to 1024 characters, matches one of these regular expressions of RE2, which the "
        "extra patterns installs. RE2 has no lookaround and no back references. man rfctl.toml shows how to match letters of any script. The exceptions of words "
        "hold here too.",
        examples=[["/[a-z]+", "[0-9]{4}"]],
    )
    chats: Annotated[list[Literal["group", "private"]], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description="Only messages of such chats: group (also a channel or a thread), or private: of one person alone.",
        examples=[["group"]],
    )
    phones: Annotated[list[_Phone], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description="Only messages of these phones, in any spelling. A star at the end stands for any digits.",
        examples=[["+7 900 123-45-67", "7999*"]],
    )
    max_age_ms: int | None = Field(
        None,
        ge=1,
        le=366 * DAY_MS,
        description="Only messages that are older: their sender sent them longer ago than this, ms, by the clock of this "
        "host. A message whose time of sending nobody knows is never older.",
        examples=[3_600_000],
    )
    hours: _Hours = Field(
        default_factory=list,
        description="Only messages that come within these hours of zone: 09:00-18:00 on all days, mon-fri 09:00-18:00, or "
        "sat for all day. 22:00-06:00 goes on into the next day.",
        examples=[["mon-fri 09:00-18:00", "sat 10:00-14:00"]],
    )
    outside_hours: _Hours = Field(
        default_factory=list,
        description="Only messages that come outside of these hours of zone, which are written in the same way.",
        examples=[["mon-fri 09:00-18:00", "sat 10:00-14:00"]],
    )
    zone: Annotated[str, AfterValidator(_names_zone)] = Field(
        "",
        description="The time zone of the hours, by its name in the IANA database. rfctl follows its summer time.",
        examples=["Europe/Moscow"],
    )
    action: Literal[
        "wait", "send_alone", "send_batch", "discard_batch", "wait_until_open", "drop", "hold"
    ] = Field(
        "wait",
        description="What happens to the message. wait: it waits by the timers below. send_alone: rfctl hands over the pending "
        "batch first, then this message by itself. send_batch: the message joins the batch, and rfctl hands the batch over. "
        "discard_batch: rfctl discards the pending batch, then hands over this message by itself. drop: the message goes "
        "nowhere; rfctl counts it by the rule's name, and a repeat of it is a duplicate. wait_until_open: the batch waits "
        "until outside_hours begin, whatever its timers; with max_size messages of this rule, or 1000, it leaves before. "
        "hold: the message joins the batch, and the bot gets nothing of this person for hold_ms, or until `rfctl release`.",
    )
    hold_ms: int = Field(
        DAY_MS,
        ge=1000,
        le=30 * DAY_MS,
        description="How long action hold keeps the person from the bot, ms.",
    )
    quiet_ms: int | None = Field(
        None,
        ge=1,
        le=DAY_MS,
        description="Quiet time of a batch while such a message is its newest, ms.",
        examples=[8000],
    )
    max_size: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Size at which rfctl hands a batch over at once, while such a message is its newest.",
        examples=[20],
    )
    max_wait_ms: int | None = Field(
        None,
        ge=1,
        le=DAY_MS,
        description="Longest wait of a batch's first message, while such a message is its newest, ms.",
        examples=[120_000],
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        faults = []
        if self.action == "wait" and not any(getattr(self, name) for name in _TIMERS):
            faults.append(("", f"it changes nothing: set action, {_either(_TIMERS)}"))
        if not any(getattr(self, name) for name in _CONDITIONS):
            faults.append(("", f"it matches every message: set {_either(_CONDITIONS)}"))
        faults += self._find_faults_of_hours()
        raise_faults(faults)
        return self

    def _find_faults_of_hours(self) -> list[Fault]:
        faults = []
        if (self.hours or self.outside_hours) and not self.zone:
            faults.append(("zone", "is missing: hours are those of a time zone, such as Europe/Moscow"))
        if self.zone and not (self.hours or self.outside_hours):
            faults.append(("zone", "it is a time zone for no hours: set hours or outside_hours"))
        if self.action == "wait_until_open" and not self.outside_hours:
            faults.append(("action", "wait_until_open waits for hours to begin: set outside_hours"))
        return faults


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
