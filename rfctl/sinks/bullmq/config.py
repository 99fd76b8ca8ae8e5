"""Settings of a sink of type bullmq."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rfctl.section import DAY_MS, Example, require
from rfctl.sinks.config import PayloadSection, QueueConfig
from rfctl.sinks.contract import SinkSpec
from rfctl.sinks.payload import Shape


class BullMqConfig(QueueConfig):
    """A sink of type bullmq."""

    type: Literal["bullmq"]
    queue: Annotated[str, require("a sink of type bullmq needs it")] = Field("", validate_default=True)
    shape: Shape = Field("node", description=PayloadSection.model_fields["shape"].description)
    job_name: str = Field("process-message", min_length=1, description="Name of the BullMQ job.")
    prefix: str = Field("bull", min_length=1, description="Prefix of BullMQ's keys.")
    job_attempts: int = Field(3, ge=1, le=1000, description="How often BullMQ lets a worker try the job.")
    backoff_ms: int = Field(
        5000,
        ge=0,
        le=DAY_MS,
        description="BullMQ's first wait between the attempts of a worker, ms. It doubles each time.",
    )


SPEC = SinkSpec(
    "bullmq",
    BullMqConfig,
    build="rfctl.sinks.bullmq.sink:BullMq",
    example=Example(
        "BullMQ: a job in the queue of your workers",
        "bot",
        {"queue": "company-{company}-messages", "job_name": "process-message"},
    ),
)
