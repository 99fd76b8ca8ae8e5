"""Settings of a sink of type stdout."""

from __future__ import annotations

from typing import Literal

from rfctl.section import Example
from rfctl.sinks.config import PayloadSection, SinkConfig
from rfctl.sinks.contract import SinkSpec


class StdoutConfig(PayloadSection, SinkConfig):
    """A sink of type stdout."""

    type: Literal["stdout"]


SPEC = SinkSpec(
    "stdout",
    StdoutConfig,
    build="rfctl.sinks.stdout.sink:Stdout",
    example=Example("Standard output of the daemon, a line of JSON for each message", "lines", {}),
)
