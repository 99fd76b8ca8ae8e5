"""What an operator may write in [rules.NAME]: who and which messages, and what follows. What the rules do is policy.py's."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rfctl.batching.policy import compile_pattern, normalize_prefix
from rfctl.section import (
    DAY_MS,
    Section,
    Word,
    Words,
    listed_to_the_end,
    parse_lines,
    parse_list,
    raise_faults,
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


def _is_known(kind: str) -> str:
    near = difflib.get_close_matches(kind.lower(), TYPES, n=1, cutoff=_ALIKE)
    # live_location is near to location, and no slip of the pen.
    if kind not in TYPES and near and abs(len(near[0]) - len(kind)) <= 1:
        raise ValueError(f"there is no type {kind}; did you mean {near[0]}?")
    return kind


def _is_said(word: str) -> str:
    if not normalize_prefix(word):
        raise ValueError("one of them is empty: white space alone is no word")
    return word


def _compiles(pattern: str) -> str:
    _is_said(pattern)
    try:
        compile_pattern(pattern)
    except ValueError as problem:
        lacks = "; RE2 has no lookaround and no back references" if str(problem).startswith(_NO_PERL) else ""
        raise ValueError(f"{pattern} is no expression of RE2: {problem}{lacks}") from None
    return pattern


_Said = Annotated[Word, AfterValidator(_is_said)]
_Type = Annotated[Word, AfterValidator(_is_known)]
_Pattern = Annotated[str, AfterValidator(_compiles)]


class RuleSettings(Section):
    """What is treated otherwise: who and which messages, and what follows. The first rule that says something wins."""

    sources: Words = Field(default_factory=list, description="Only messages of these sources.")
    companies: Words = Field(default_factory=list, description="Only messages to these companies.")
    accounts: Words = Field(
        default_factory=list, description="Only messages to these accounts of a provider."
    )
    types: Annotated[list[_Type], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description=f"Only messages of these types: {', '.join(TYPES)}, or a provider's own.",
    )
    words: Annotated[list[_Said], BeforeValidator(parse_list)] = Field(
        default_factory=list,
        description="The whole message is one of these, in any case; a full stop or exclamation mark behind it does not "
        "count. A reaction, a deletion or a picture is not meant, whatever its emoji or caption, unless types says so.",
    )
    prefixes: Annotated[list[_Said], BeforeValidator(listed_to_the_end)] = Field(
        default_factory=list,
        description="The message begins with one of these, in any case; a space at the end counts. What is not meant by "
        "words is not meant here either.",
    )
    patterns: Annotated[list[_Pattern], BeforeValidator(parse_lines)] = Field(
        default_factory=list,
        description="The whole message, up to 1024 characters, matches one of these regular expressions of RE2: no "
        "lookaround, no back references, and for letters of any script see man rfctl.toml. What is not meant by words "
        "is not meant here either.",
    )
    action: Literal["wait", "send_alone", "send_batch", "discard_batch"] = Field(
        "wait",
        description="wait: like any other message, by the timers below. send_alone: the pending batch is handed over first, then "
        "this message by itself. send_batch: the message joins the batch, and the batch is handed over. discard_batch: the "
        "pending batch is thrown away, then this message is handed over by itself.",
    )
    quiet_ms: int | None = Field(
        None,
        ge=1,
        le=DAY_MS,
        description="How long a batch waits in silence while such a message is its newest, ms.",
    )
    max_size: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Size at which a batch leaves at once when such a message is its newest; the next message goes by "
        "its own.",
    )
    max_wait_ms: int | None = Field(
        None,
        ge=1,
        le=DAY_MS,
        description="How long after its first message a batch leaves at the latest while such a message is its newest, "
        "ms; the next message goes by its own.",
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
