"""How long a batch waits, and the loop that hands it over."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfctl.batching.policy import Policy, Rule, Timers

if TYPE_CHECKING:
    from rfctl.batching.batcher import Batcher, BatchingRules
    from rfctl.batching.caretaker import Caretaker
    from rfctl.batching.scheduler import Scheduler
    from rfctl.batching.turn_counts import TurnCounts

__all__ = ["Batcher", "BatchingRules", "Caretaker", "Policy", "Rule", "Scheduler", "Timers", "TurnCounts"]

_LAZY = {
    "Batcher": "rfctl.batching.batcher",
    "BatchingRules": "rfctl.batching.batcher",
    "Caretaker": "rfctl.batching.caretaker",
    "Scheduler": "rfctl.batching.scheduler",
    "TurnCounts": "rfctl.batching.turn_counts",
}


def __getattr__(name: str) -> Any:
    """Import what the settings do not need when it is used: every command reads the settings."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
