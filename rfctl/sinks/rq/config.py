"""Settings of a sink of type rq."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rfctl.section import Example, require
from rfctl.sinks.config import QueueConfig
from rfctl.sinks.contract import SinkSpec


class RqConfig(QueueConfig):
    """A sink of type rq."""

    type: Literal["rq"]
    task: Annotated[str, require("a sink of type rq needs it")] = Field(
        "",
        validate_default=True,
        description="Name of the Celery task, or dotted path of the RQ function. It gets the message as a dict.",
        examples=["bot.tasks.answer"],
    )
    serializer: Literal["pickle", "json"] = Field(
        "pickle",
        description="How the job is written into Redis. pickle is what RQ itself and its workers take without being told. json: "
        "start the workers with `rq worker --serializer json`. A worker that expects the other one cannot read the job.",
    )


SPEC = SinkSpec(
    "rq",
    RqConfig,
    build="rfctl.sinks.rq.sink:Rq",
    example=Example("RQ: a function by its dotted path", "jobs", {"task": "bot.jobs.answer", "queue": "bot"}),
)
