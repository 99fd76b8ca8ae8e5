"""Settings of a sink of type command."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rfctl.section import Example, Words, require
from rfctl.sinks.config import PayloadSection, SinkConfig
from rfctl.sinks.contract import SinkSpec


def _check_command_line(words: list[str]) -> list[str]:
    if not words[0] or any("\0" in word for word in words):
        raise ValueError("it must be a list: the program, then its arguments")
    return words


class CommandConfig(PayloadSection, SinkConfig):
    """A sink of type command."""

    type: Literal["command"]
    command: Annotated[
        Words, require("a sink of type command needs it"), AfterValidator(_check_command_line)
    ] = Field(
        default_factory=list,
        validate_default=True,
        description="Program and arguments, run once a message with JSON on its stdin. Exit status 0 means delivered, 65 "
        "never deliverable. After any other status rfctl tries again.",
        examples=[["/usr/local/bin/answer", "--json"]],
    )


SPEC = SinkSpec(
    "command",
    CommandConfig,
    build="rfctl.sinks.command.sink:Command",
    example=Example(
        "A program for each message, which gets JSON on its standard input",
        "script",
        {"command": ["/usr/local/bin/answer", "--json"], "timeout_ms": 30000},
    ),
)
