"""What every sink does: it makes one attempt to deliver a merged message, and says how that ended.

`deliver` returns when the receiver has taken the message. After a crash the same message may come again, with the same
`id`: that is the idempotency key. A sink keeps no queue and repeats nothing: the forwarder decides about later attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from rfctl.errors import ANSWER_IS_NO, RfctlError
from rfctl.model.delivery import Delivery
from rfctl.text import mask_urls

if TYPE_CHECKING:
    from rfctl.section import Example
    from rfctl.sinks.config import SinkConfig

    SinkModel = type[SinkConfig]


class DeliveryError(RfctlError):
    """The receiver has not taken the message. `fact` says why, in one line; operators read it.

    It is kept in Redis, and shown by `stats` and `dead`. A library, a program or a receiver may have put a URL into it:
    the secrets of each URL are masked here, where a failure becomes text, as the log masks them.

    `retry_after_ms` is the wait that the receiver asked for. `final` makes the message a dead letter, because no later
    attempt can succeed. `pause` stops all deliveries of the sink until `rfctl resume`: the receiver wants no message any
    more. Without any of them, the next attempt follows the schedule of the settings.
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
        super().__init__(mask_urls(fact), next=next)
        self.retry_after_ms = retry_after_ms
        self.final = final
        self.pause = pause


class Sink(Protocol):
    """One sink. All calls come from one event loop; up to `concurrency` deliveries run at a time, of different phones."""

    async def open(self) -> None:
        """Get ready; called once, before any delivery. Raises SettingsError for settings that cannot work.

        A receiver that does not answer now is no reason to fail.
        """

    async def deliver(self, delivery: Delivery) -> None:
        """Return when the receiver has taken the message. Raises DeliveryError when it has not.

        Any other exception is logged as a bug of the sink, and counts as a failed attempt. A sink keeps its own time limit.
        """

    async def close(self) -> None:
        """Close every connection; called once, after the last delivery."""


@dataclass(frozen=True, slots=True)
class PluginSinkConfig:
    """The settings of a sink of another package, which is built with them. Times are in ms.

    `name` is the NAME in [sinks.NAME]. `options` is the table [sinks.NAME.options], as the operator wrote it.
    """

    name: str
    type: str
    timeout_ms: int = 15_000
    connect_timeout_ms: int = 5_000
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """One type of sink: its settings model, an example, and the function or class that builds it, as `module:name`."""

    type: str
    config: SinkModel
    build: str
    example: Example

    def build_sink(self, name: str, config: SinkConfig) -> Any:
        """Return a `Sink` (or a `RedisSink`) of this type. Its module is imported only now, since some need an extra."""
        return resolve_name(self.build)(name, config)
