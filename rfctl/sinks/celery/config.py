"""Settings of a sink of type celery."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rfctl.section import Example, require
from rfctl.sinks.config import QueueConfig
from rfctl.sinks.contract import SinkSpec


class CeleryConfig(QueueConfig):
    """A sink of type celery."""

    type: Literal["celery"]
    task: Annotated[str, require("a sink of type celery needs it")] = Field(
        "",
        validate_default=True,
        description="Name of the Celery task, or dotted path of the RQ function. It gets the message as a dict.",
        examples=["bot.tasks.answer"],
    )


SPEC = SinkSpec(
    "celery",
    CeleryConfig,
    build="rfctl.sinks.celery.sink:Celery",
    example=Example(
        "Celery: a task by its name",
        "tasks",
        {"url": "redis://127.0.0.1:6379/1", "task": "bot.tasks.answer"},
    ),
)
