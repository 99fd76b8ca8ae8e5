"""What one daemon knows of itself at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rfctl.batching import TurnCounts
from rfctl.store import BatchMeasures

Outcomes = Mapping[tuple[str, str], int]
"""Counts by two words."""


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """One daemon. Its counts began with its process.

    `sources` names those of the settings. `requests` and `messages` are counted by source and outcome, `redis_errors` by
    who asked and the word for the reason.
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
    redis_errors: Outcomes = field(default_factory=dict)
    turns: TurnCounts = field(default_factory=TurnCounts)
    measures: BatchMeasures = field(default_factory=BatchMeasures)
