"""Output stream to sink: in order, at least once, with a schedule of retries."""

from rfctl.delivery.supervisor import Supervisor
from rfctl.delivery.target import RetryPolicy, Target

__all__ = ["RetryPolicy", "Supervisor", "Target"]
