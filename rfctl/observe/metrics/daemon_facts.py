"""What one daemon knows of itself at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rfctl.batching import TurnCounts
from rfctl.model.histogram import Histogram
from rfctl.store import BatchMeasures

Outcomes = Mapping[tuple[str, str], int]
"""Counts by two words."""


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """One daemon. Its counts began with its process.

    `sources` names those of the settings. `requests` and `messages` are counted by source and outcome, `redis_errors` by
    the word for the reason. `invalid_traces` counts requests whose `traceparent` is not valid. `attempts` has how long
    those of each sink took (s), by outcome; `body_bytes` and `sink_bytes` what is in hand.
    """

    version: str
    role: str
    event_loop: str
    is_ready: bool
    turn_age_ms: int
    lost_log_lines: int
    sources: Collection[str]
    requests: Outcomes = field(default_factory=dict)
    messages: Outcomes = field(default_factory=dict)
    redis_errors: Mapping[str, int] = field(default_factory=dict)
    turns: TurnCounts = field(default_factory=TurnCounts)
    measures: BatchMeasures = field(default_factory=BatchMeasures)
    attempts: Mapping[str, Mapping[str, Histogram]] = field(default_factory=dict)
    body_bytes: int = 0
    sink_bytes: Mapping[str, int] = field(default_factory=dict)
    invalid_traces: int = 0
