"""What a sink is given and how it says what became of it.

A sink delivers one merged message and returns when the receiver has taken it. It may be given the same
message again, with the same `id`, after a crash: the id is the idempotency key. It keeps no queue and
retries nothing; when and whether to try again is the forwarder's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from rfctl.errors import ANSWER_IS_NO, RfctlError
from rfctl.model.delivery import Delivery

if TYPE_CHECKING:
    from rfctl.section import Example
    from rfctl.sinks.config import SinkConfig

    SinkModel = type[SinkConfig]


class DeliveryError(RfctlError):
    """The receiver did not take it. `fact` is one line for the history.

    `retry_after_ms` is the wait that the receiver asked for; `final` means that no later try can succeed;
    `pause` means that the receiver wants nothing any more, so that the whole sink is to stand still.
    """

    exit_status = ANSWER_IS_NO

    def __init__(
        self,
        fact: str,
        *,
        retry_after_ms: int = 0,
        final: bool = False,
        pause: bool = False,
        next: str = "",  # noqa: A002
    ) -> None:
        super().__init__(fact, next=next)
        self.retry_after_ms = retry_after_ms
        self.final = final
        self.pause = pause


class Sink(Protocol):
    """One receiver of messages, set up with its settings; used from one event loop, by many deliveries at a time."""

    async def open(self) -> None:
        """Get ready; a receiver that is away now is no reason to fail. Raises RfctlError for wrong settings."""

    async def deliver(self, delivery: Delivery) -> None:
        """Return when the receiver has taken it. Raises DeliveryError; any other exception counts as a failure too."""

    async def close(self) -> None:
        """Let go of everything; called once."""


@dataclass(frozen=True, slots=True)
class PluginSinkConfig:
    """What a sink of another package is called with: its settings. Times are in ms.

    `options` is the table [sinks.NAME.options], as the operator wrote it.
    """

    name: str
    type: str
    timeout_ms: int = 15_000
    connect_timeout_ms: int = 5_000
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """One type of sink: its settings model, an example, and what builds it, as `module:name`."""

    type: str
    config: SinkModel
    build: str
    example: Example

    def build_sink(self, name: str, config: SinkConfig) -> Any:
        """Return a `Sink` (or a `RedisSink`) of this type. Its module is imported only now, since some need an extra."""
        return resolve_name(self.build)(name, config)
