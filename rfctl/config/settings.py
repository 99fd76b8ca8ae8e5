"""The models of all settings with fixed sections: default, limits, unit and description of each.

Names are `section.name`; the environment calls them `RFCTL_SECTION__NAME`. A source's or a sink's settings stand
beside it, those of Redis in redis_settings.py, those of rules in rules.py. options.py makes the table of all, and loader.py keeps the origin of each value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rfctl.config.http_settings import HttpSettings
from rfctl.config.redis_settings import EMBEDDED, RedisSettings
from rfctl.config.rules import RuleSettings
from rfctl.config.unions import AnySink, AnySource
from rfctl.section import Fault, Name, Section, Words, can_render, raise_faults
from rfctl.sources.registry import GENERIC
from rfctl.store.keys import DEFAULT_STREAM, RESERVED_PREFIXES
from rfctl.text import did_you_mean

__all__ = ["EMBEDDED", "Settings"]


class BatchingSettings(Section):
    """How long to wait for a person."""

    quiet_ms: int = Field(
        5000,
        ge=1,
        le=86_400_000,
        description="rfctl hands a batch over when its person has been silent for this long, ms.",
    )
    max_size: int = Field(
        10, ge=1, le=1000, description="rfctl hands a batch over at once when it holds this many messages."
    )
    max_wait_ms: int = Field(
        60_000, ge=1, le=86_400_000, description="Longest wait of a batch's first message, ms."
    )
    separator: str = Field(" ", max_length=64, description="Text between the texts of a merged message.")
    order: Literal["arrival", "sent"] = Field(
        "arrival",
        description="Order inside a batch. arrival: as the messages came. sent: by the sender's own time, for webhooks that "
        "come out of order.",
    )
    split_by: Words = Field(
        default_factory=list,
        description="Fields that split one person's messages into several batches, besides the chat: account, company, "
        "both or none. If a message differs in one of these two fields and the field is not listed, rfctl hands over the "
        "open batch first.",
    )
    placeholder: str = Field(
        "[{type}]",
        max_length=64,
        description="Text that stands for a message without words. {type} becomes image, voice, location and so on. Empty: no "
        "text.",
    )
    dedupe_s: int = Field(
        86_400,
        ge=1,
        le=2_592_000,
        description="rfctl adds a message id of one account (or of one source, where a request names no account) only once within this time, s. "
        "An id stays known when this setting changes.",
    )
    overdue_ms: int = Field(
        10_000,
        ge=1,
        le=86_400_000,
        description="rfctl counts and logs a batch that is overdue by more than this, ms. It hands the batch over all the "
        "same.",
    )
    max_text_bytes: int = Field(
        65_536,
        ge=1,
        le=16_777_216,
        description="Longest text of one message, bytes of UTF-8. With 65536 or more, a text of WhatsApp may have 65536 "
        "characters, as WhatsApp lets it.",
    )

    @field_validator("split_by")
    @classmethod
    def _key_is_known(cls, value: list[str]) -> list[str]:
        if wrong := set(value) - {"account", "company"}:
            raise ValueError(f"{', '.join(sorted(wrong))}: use account, company, both or none")
        return value

    @model_validator(mode="after")
    def _waits_make_sense(self) -> Self:
        if self.max_wait_ms < self.quiet_ms:
            raise ValueError(
                f"max_wait_ms ({self.max_wait_ms}) is shorter than quiet_ms ({self.quiet_ms}): raise it, or lower quiet_ms"
            )
        return self


class OutputSettings(Section):
    """Where merged messages go."""

    stream: str = Field(
        "",
        description="Redis stream of merged messages, in the same database. Empty: redis.prefix and rfctl:out behind it. It "
        "stays: what waits for a sink is found by its place in it.",
    )
    retention_s: int = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="How long rfctl keeps entries that every consumer group has acknowledged, s. tail --since and resend "
        "read them. rfctl never removes an entry that a group has not acknowledged.",
    )
    retention_entries: int = Field(
        100_000,
        ge=0,
        le=100_000_000,
        description="Most entries that rfctl keeps after every consumer group has acknowledged them. With shards, each of "
        "them keeps its part of that number.",
    )

    @field_validator("stream")
    @classmethod
    def _stream_is_no_key_of_ours(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._:/-]{1,128}", value):
            raise ValueError("use letters, digits and . _ : / - (at most 128)")
        if value != DEFAULT_STREAM and value.startswith(RESERVED_PREFIXES):
            raise ValueError(f"names that begin with {', '.join(RESERVED_PREFIXES)} are rfctl's own")
        return value


class DeliveryLogSettings(Section):
    """The delivery log in Redis: when each message was delivered, to whom, and at which attempt. It has no texts."""

    retention_s: int = Field(
        604_800, ge=0, le=31_536_000, description="How long rfctl keeps an entry of the delivery log, s."
    )
    max_bytes: int = Field(
        67_108_864,
        ge=0,
        le=1_099_511_627_776,
        description="About how many bytes the delivery log may have in Redis; beyond them the oldest entries go. "
        "0: no log.",
    )


class QuarantineSettings(Section):
    """The quarantine: authentic requests that rfctl could not parse, until an operator decides."""

    retention_s: int = Field(
        2_592_000,
        ge=0,
        le=31_536_000,
        description="How long rfctl keeps a request in quarantine, s. What is older is removed, counted and logged. 0: until "
        "somebody decides.",
    )
    max_bytes: int = Field(
        268_435_456,
        ge=0,
        le=1_099_511_627_776,
        description="About how many bytes the quarantine may have in Redis; beyond them the oldest requests are removed, "
        "counted and logged. 0: no limit.",
    )


class DaemonSettings(Section):
    """The daemon: its role, its sleep, its log of totals, and how it stops."""

    role: Literal["all", "webhook", "processor", "forwarder"] = Field(
        "all",
        description="Role of this daemon. all: everything. webhook: it only takes messages in. processor: it only hands "
        "batches over. forwarder: it only delivers to the sinks.",
    )
    max_sleep_ms: int = Field(
        1000,
        ge=10,
        le=60_000,
        description="Longest sleep of the processor, ms. It never sleeps longer than batching.quiet_ms.",
    )
    stats_log_s: int = Field(
        30, ge=0, le=86_400, description="How often the daemon logs its totals, s. 0: never."
    )
    monitor: str = Field(
        "",
        description="Address and port where the daemon answers GET /healthz, /readyz and /metrics, and nothing else, such as "
        "127.0.0.1:9464. It is for any role: a processor or forwarder listens nowhere else. Empty: nowhere.",
        examples=["127.0.0.1:9464"],
    )
    drain: Literal["all", "due"] = Field(
        "all",
        description="Batches that the last processor hands over when it stops. all: every pending one. due: only those that "
        "are due; the others wait for the next start.",
    )

    @field_validator("monitor")
    @classmethod
    def _monitor_has_a_port(cls, value: str) -> str:
        match = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", value)
        if value and (match is None or int(match[1]) > 65_535):
            raise ValueError("write an address and a port: 127.0.0.1:9464, or [::1]:9464")
        return value


class LogSettings(Section):
    """The daemon's log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level of log lines."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="Format of the log. auto: text on a terminal, else one JSON object a line."
    )
    mask: bool = Field(True, description="Mask phones in the log: 79001•••67.")


class Settings(Section):
    """Everything that can be set. Sources, sinks and rules have names that the operator gives them."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    batching: BatchingSettings = Field(default_factory=BatchingSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    output: OutputSettings = Field(default_factory=OutputSettings)
    delivery_log: DeliveryLogSettings = Field(default_factory=DeliveryLogSettings)
    quarantine: QuarantineSettings = Field(default_factory=QuarantineSettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    sources: dict[Name, AnySource] = Field(default_factory=dict)
    rules: dict[Name, RuleSettings] = Field(default_factory=dict)
    sinks: dict[Name, AnySink] = Field(default_factory=dict)

    @field_validator("sources", mode="before")
    @classmethod
    def _generic_needs_no_type(cls, value: Any) -> Any:
        """Let [sources.generic] do without its type, as it always did."""
        if isinstance(value, dict) and isinstance(generic := value.get(GENERIC), dict):
            return {**value, GENERIC: {"type": GENERIC, **generic}}
        return value

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        raise_faults([*self._circles(), *self._own_keys(), *self._unknown_sources()])
        return self

    def _circles(self) -> Iterator[Fault]:
        """Yield each sink's key that could be the output stream; the default one cannot be, as a key of rfctl's own."""
        for name, sink in self.sinks.items():
            key = getattr(sink, "key", "")
            if key and self.output.stream not in ("", DEFAULT_STREAM) and can_render(key, self.output.stream):
                yield f"sinks.{name}.key", f"{key} could be output.stream: what it delivers would come again"

    def _own_keys(self) -> Iterator[Fault]:
        """Yield the stream and each sink's key that could be a key of rfctl's own, behind redis.prefix."""
        own = [self.redis.prefix + name for name in RESERVED_PREFIXES]
        keys = {f"sinks.{name}.key": getattr(sink, "key", "") for name, sink in self.sinks.items()}
        if self.output.stream not in (DEFAULT_STREAM, self.redis.prefix + DEFAULT_STREAM):
            keys["output.stream"] = self.output.stream
        for name, key in keys.items():
            if key and any(_can_begin(key, prefix) for prefix in own):
                yield name, f"{key} could be a key of rfctl's own: those begin with {', '.join(own)}"

    def _unknown_sources(self) -> Iterator[Fault]:
        """Yield each source that a rule names and that is not there; without any there is generic."""
        there = list(self.sources) or [GENERIC]
        for name, rule in self.rules.items():
            for source in rule.sources:
                if source not in there:
                    near = did_you_mean(source, there) or f"; there is {', '.join(there)}"
                    yield f"rules.{name}.sources", f"there is no [sources.{source}]{near}"


def _can_begin(key: str, prefix: str) -> bool:
    """Say whether a key, once its places are filled in, can begin with a prefix."""
    head, place, _ = key.partition("{")
    return head.startswith(prefix) or bool(place and prefix.startswith(head))
