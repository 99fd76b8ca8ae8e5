"""Scripted traffic for `simulate` and `demo`: a scenario, the client that sends it, and the check of the result."""

from rfctl.simulation.checker import Verdict, check, due_ms
from rfctl.simulation.client import Client, Send, base_url, send_all
from rfctl.simulation.follower import Follower
from rfctl.simulation.scenario import PlannedMessage, Scenario, plan_times, schedule

__all__ = [
    "Client",
    "Follower",
    "PlannedMessage",
    "Scenario",
    "Send",
    "Verdict",
    "base_url",
    "check",
    "due_ms",
    "plan_times",
    "schedule",
    "send_all",
]
