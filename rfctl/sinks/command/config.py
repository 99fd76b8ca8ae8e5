"""Settings of a sink of type command."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rfctl.section import Example, Words, check_each, require
from rfctl.sinks.config import PayloadSection, SinkConfig
from rfctl.sinks.contract import SinkSpec
from rfctl.text import visible


def _check_command_line(words: list[str]) -> list[str]:
    if not words[0] or any("\0" in word for word in words):
        raise ValueError("it must be a list: the program, then its arguments")
    return words


def _check_variable(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{visible(name)} is no name of a variable: write names alone, without values")
    if name.startswith("MESSAGE_"):
        raise ValueError(f"{name} is set by rfctl")


class CommandConfig(PayloadSection, SinkConfig):
    """A sink of type command."""

    type: Literal["command"]
    command: Annotated[
        Words, require("a sink of type command needs it"), AfterValidator(_check_command_line)
    ] = Field(
        default_factory=list,
        validate_default=True,
        description="Program and arguments, run once a message with one line of JSON on its stdin. Exit status 0 means delivered, 65 "
        "never deliverable. After any other status rfctl tries again.",
        examples=[["/usr/local/bin/answer", "--json"]],
    )
    env: Annotated[Words, check_each(_check_variable)] = Field(
        default_factory=list,
        description="Variables of the daemon that the program gets too. It always gets PATH, HOME, USER, LANG, LC_*, TZ and "
        "TMPDIR, never a credential.",
        examples=[["OPENAI_API_KEY"]],
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
