"""Settings of [rules.NAME]: conditions and effects. batching/policy.py applies them."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rfctl.batching.policy import compile_pattern, normalize_prefix
from rfctl.section import (
    DAY_MS,
    Example,
    Section,
    Word,
    Words,
    parse_lines,
    parse_list,
    raise_faults,
    split_keeping_ends,
)

TYPES = (
    "text", "image", "video", "audio", "voice", "document", "sticker", "location", "contacts", "button", "reaction",
    "edit", "deletion", "poll", "order", "dice", "system", "unsupported",
)  # fmt: skip
"""The types that the sources give. A type of a provider that is none of these keeps the provider's name."""
_TIMERS = ("quiet_ms", "max_size", "max_wait_ms")
_CONDITIONS = ("words", "prefixes", "patterns", "types", "sources", "companies", "accounts")
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
    Example(
        "Who asks for a person gets one: the bot gets nothing for two hours",
        "operator",
        {"words": ["operator", "оператор"], "action": "hold", "hold_ms": 7_200_000},
    ),
    Example("Timers of one company", "barber", {"companies": [962302], "quiet_ms": 3000, "max_size": 5}),
)
_Phrase = Annotated[Word, AfterValidator(_has_words)]
_Type = Annotated[Word, AfterValidator(_is_no_slip)]
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
    patterns: Annotated[list[_Pattern], BeforeValidator(parse_lines)] = Field(
        default_factory=list,
        description="The whole message, up to 1024 characters, matches one of these regular expressions of RE2. RE2 has no "
        "lookaround and no back references. man rfctl.toml shows how to match letters of any script. The exceptions of words "
        "hold here too.",
        examples=[["/[a-z]+", "[0-9]{4}"]],
    )
    action: Literal["wait", "send_alone", "send_batch", "discard_batch", "hold"] = Field(
        "wait",
        description="What happens to the message. wait: it waits by the timers below. send_alone: rfctl hands over the pending "
        "batch first, then this message by itself. send_batch: the message joins the batch, and rfctl hands the batch over. "
        "discard_batch: rfctl discards the pending batch, then hands over this message by itself. hold: the message joins the "
        "batch, and the bot gets nothing of this person for hold_ms, or until `rfctl release`.",
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
        raise_faults(faults)
        return self


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
