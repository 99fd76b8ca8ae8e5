"""How long a batch waits, and the loop that hands it over."""

from rfctl.batching.batcher import Batcher, BatchingRules
from rfctl.batching.policy import Policy, Rule, Timers
from rfctl.batching.scheduler import Scheduler

__all__ = ["Batcher", "BatchingRules", "Policy", "Rule", "Scheduler", "Timers"]
