"""Settings of sinks in the same Redis: a list, a stream, or the output stream itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rfctl.section import Example, require
from rfctl.sinks.config import PayloadSection, SinkConfig
from rfctl.sinks.contract import SinkSpec
from rfctl.store.keys import RESERVED_PREFIXES


def _check_key(key: str) -> str:
    if key.startswith((*RESERVED_PREFIXES, "{")):
        raise ValueError(
            f"{key} could be a key of rfctl's own; use a name that begins otherwise than with a place or "
            f"{', '.join(RESERVED_PREFIXES)}"
        )
    return key


def _check_group(group: str) -> str:
    if group.startswith("rfctl:"):
        raise ValueError("groups that begin with rfctl: are the sinks' own")
    return group


class ListConfig(PayloadSection, SinkConfig):
    """A list in the same Redis."""

    type: Literal["list"]
    key: Annotated[str, require("a sink of type list needs it"), AfterValidator(_check_key)] = Field(
        "",
        validate_default=True,
        description="Key in the same Redis; rfctl fills in {company}, {phone}, {channel} and {account}. For stream, empty "
        "means the output stream itself, for workers with a consumer group of their own. With redis.shards every shard has "
        "a key of its own: KEY:{3} or, where KEY is a:b, a:{3}:b. rfctl(7) has the numbers.",
        examples=["messages:{company}"],
    )


class StreamConfig(SinkConfig):
    """Another stream in the same Redis, or the output stream itself, which workers then read."""

    type: Literal["stream"]
    key: Annotated[str, AfterValidator(_check_key)] = ""
    group: Annotated[str, AfterValidator(_check_group)] = Field(
        "",
        max_length=64,
        description="Consumer group of your workers. rfctl creates it at the start of the stream, and trims nothing that "
        "the group has not acknowledged.",
        examples=["bot"],
    )

    @property
    def is_read_by_workers(self) -> bool:
        """Whether it is the output stream itself."""
        return not self.key

    @property
    def worker_group(self) -> str:
        """The consumer group of the workers that read the output stream; "" if there is none."""
        return self.group if self.is_read_by_workers else ""


LIST = SinkSpec(
    "list",
    ListConfig,
    build="rfctl.sinks.redis.sink:build_list",
    example=Example(
        "A list in the same Redis, for BLPOP: exactly once", "queue", {"key": "messages:{company}"}
    ),
)
STREAM = SinkSpec(
    "stream",
    StreamConfig,
    build="rfctl.sinks.redis.sink:build_stream",
    example=Example(
        "The output stream and the group of your workers: nothing is trimmed that the group has not acknowledged",
        "workers",
        {"group": "bot"},
    ),
)
