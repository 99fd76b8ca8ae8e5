"""Asks Typer's own table whether a command line is one: the command, its arguments and its options."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

from rfctl.cli.app import load_all_commands

_GLOBAL = re.compile(r"(?:--(?:config|redis)|-o|--output) \S+|--(?:json|embedded|debug)\b")
"""These may stand anywhere, before and behind the command."""
_GLOBAL_OPTIONS = (
    "--config",
    "--redis",
    "--output",
    "--json",
    "--embedded",
    "--debug",
    "--help",
    "--version",
)


@cache
def _load() -> Any:
    return load_all_commands()


def find_command_fault(line: str) -> str:
    """Return what rfctl has against a command line; "" for nothing."""
    words = shlex.split(_GLOBAL.sub("", cut_shell(line)), comments=True)[1:]
    if words in (["--help"], ["-h"], ["--version"], []):
        return ""
    command = _load()
    while hasattr(command, "commands") and (sub := command.commands.get(words[0] if words else "")):
        command, words = sub, words[1:]
    if hasattr(command, "commands"):
        return f"there is no command {' '.join(words)}" if words else ""
    try:
        command.make_context("rfctl", words)
    except Exception as problem:
        return str(problem) or type(problem).__name__
    return ""


def find_name_fault(line: str) -> str:
    """Return what rfctl has against a command that a text names, maybe without its arguments; "" for nothing."""
    words = line.split()[1:]
    command, options = _load(), set(_GLOBAL_OPTIONS)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    options |= {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"there is no option {unknown[0]}" if unknown else ""


def cut_shell(line: str) -> str:
    """Return a command without what a shell does behind it: a pipe, a redirection, another command."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars="|>;&")
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    for word in lexer:
        if set(word) <= set("|>;&"):
            break
        words.append(word)
    return " ".join(words)
