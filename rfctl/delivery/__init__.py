"""Output stream to sink: in order, at least once, with a schedule of retries."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfctl.delivery.target import LEASE_MS, RetryPolicy, Target

if TYPE_CHECKING:
    from rfctl.delivery.supervisor import Supervisor

__all__ = ["LEASE_MS", "RetryPolicy", "Supervisor", "Target"]


def __getattr__(name: str) -> Any:
    """Import the supervisor when it is used: most commands need none."""
    if name == "Supervisor":
        return import_module("rfctl.delivery.supervisor").Supervisor
    raise AttributeError(f"module {__name__} has no attribute {name}")
