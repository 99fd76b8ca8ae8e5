"""The settings that every sink has, and those of several types; each type's own are beside its sink."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field

from rfctl.section import DAY_MS, SECRET, Numbers, Section, check_each
from rfctl.sinks.payload import Shape

DEFAULT_RETRY_DELAYS_MS = (
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000,
)  # fmt: skip
"""The waits that Standard Webhooks recommends: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h."""


def _check_wait(delay_ms: int) -> None:
    if not 0 <= delay_ms <= 30 * DAY_MS:
        raise ValueError("each wait is between 0 and 30 days, in ms")


class SinkConfig(Section):
    """The settings of every sink. Each sink has its own consumer group on the output stream, and its own schedule."""

    type: str = Field(
        description="list, stream, http, bullmq, celery, rq, command, stdout, or a type that a package registers in the "
        "entry point group rfctl.sinks.",
        examples=["http"],
    )
    retry_delays_ms: Annotated[Numbers, check_each(_check_wait)] = Field(
        default_factory=lambda: list(DEFAULT_RETRY_DELAYS_MS),
        max_length=100,
        description="Waits between the attempts, ms. After the last attempt the message is a dead letter. The default is "
        "that of Standard Webhooks.",
    )
    concurrency: int = Field(
        16,
        ge=1,
        le=1000,
        description="Number of batch keys whose messages are delivered at a time. A batch key is mostly a person; its "
        "messages go one after another.",
    )
    timeout_ms: int = Field(
        15_000, ge=10, le=3_600_000, description="How long one attempt may take in all, ms."
    )

    probe: bool = Field(
        False,
        description="Let rfctl doctor --probe deliver its message here. Nobody sent it: its text says so, it comes from "
        "probe, and it is marked as simulated.",
    )

    @property
    def is_read_by_workers(self) -> bool:
        """Whether workers read the output stream themselves, so that rfctl delivers nothing."""
        return False

    @property
    def worker_group(self) -> str:
        """The consumer group of those workers; "" if there is none."""
        return ""

    def with_redis_url(self, url: str) -> Self:  # noqa: ARG002 - most sinks need no Redis
        """Return the settings with this Redis, where they leave open which one to use."""
        return self


class PayloadSection(Section):
    """What a sink says of the JSON that it sends."""

    shape: Shape = Field(
        "rfctl",
        description="Shape of the JSON that the receiver gets. rfctl: whole messages in metadata.originalMessages, and times "
        "in ms. node: texts there, an ISO time, and the messages in metadata.originals, as workers of the Node service read "
        "it. A sink of type bullmq has node unless you set it. man 7 rfctl shows both.",
    )
    raw: bool = Field(
        False,
        description="Send metadata.raw too, the provider's own object, once in metadata and once in each original message.",
    )


class ConnectingConfig(SinkConfig):
    """A sink that opens connections of its own."""

    connect_timeout_ms: int = Field(
        5000, ge=10, le=600_000, description="How long a connection may take, ms."
    )


class QueueConfig(PayloadSection, ConnectingConfig):
    """A sink that fills the queue of a library."""

    url: str = Field(
        "",
        description="Redis or broker of the queue. Empty: redis.url.",
        examples=["redis://127.0.0.1:6379/1"],
        json_schema_extra=SECRET,
    )
    queue: str = Field(
        "",
        description="Queue; rfctl fills in {company}, {phone}, {channel} and {account}: company-{company}-messages. Empty: "
        "default for rq, Celery's own for celery.",
        examples=["company-{company}-messages"],
    )

    def with_redis_url(self, url: str) -> Self:
        """Return the settings with this Redis, unless they name another."""
        return self if self.url else self.model_copy(update={"url": url})


class PluginSection(ConnectingConfig):
    """A sink whose type another package registers. It gets its settings as a `PluginSinkConfig`."""

    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings for a sink of another package, which gets them as they are.",
        examples=[{"room": "support"}],
        json_schema_extra=SECRET,
    )
