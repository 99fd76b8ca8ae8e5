"""The commands of rfctl as a shell needs them: words, options, and what can be completed behind each."""

from __future__ import annotations

import inspect
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfctl.cli.app import load_all_commands
from rfctl.cli.completion import complete_presets
from rfctl.cli.setting_names import SETTING_NAMES

ASKED = {
    "complete_sinks": "sinks",
    "complete_sources": "sources",
    "complete_dead_letters": "dead",
    "complete_settings": "settings",
}
"""What is completed by each of these functions of rfctl.cli.completion; `settings` are asked for in part."""
ASKING = {"sinks": "pause", "sources": "source try", "dead": "dead show", "settings": "config explain"}
"""The command whose first argument is of a kind: rfctl completes it, and tells a shell what there is."""
_HELP_CHARS = 70


@dataclass(frozen=True)
class Opt:
    """An option: its names, the first words of its help, and the kind of its value (None: it has none)."""

    names: tuple[str, ...]
    help: str
    kind: str | None


@dataclass(frozen=True)
class Node:
    """A command by its words: its own commands with their help, its options, and the kinds of its arguments.

    A kind is `none`, `file`, `choice:a,b`, or a value of `ASKED`. `repeats`: more words are of the last kind.
    """

    words: str
    commands: tuple[tuple[str, str], ...]
    options: tuple[Opt, ...]
    arguments: tuple[str, ...]
    repeats: bool


def list_nodes() -> list[Node]:
    """Return every command, the table itself first. The global options may stand behind each of them."""
    table = load_all_commands()
    shared = tuple(_read_option(it) for it in _options_of(table) if it.name != "_version")
    help_option = Opt(("-h", "--help"), "Show this message and exit.", None)
    version = Opt(("--version",), "Print the version.", None)
    nodes = [_read_node(command, words, (*shared, help_option)) for words, command in _walk(table, "")]
    root = nodes[0]
    options = (*shared, version, help_option)
    return [Node("", root.commands, options, (), repeats=False), *nodes[1:]]


def list_settings() -> tuple[list[str], list[str]]:
    """Return the plain names of settings, and how the names in sections begin whose names the operator chooses."""
    plain = [name for name in SETTING_NAMES if ".NAME." not in name]
    named = dict.fromkeys(name.partition(".NAME.")[0] + "." for name in SETTING_NAMES if ".NAME." in name)
    return plain, list(named)


def _walk(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _walk(inner, f"{words} {name}".strip())


def _read_node(command: Any, words: str, shared: tuple[Opt, ...]) -> Node:
    commands = tuple(
        (name, _shorten(inner.help))
        for name, inner in getattr(command, "commands", {}).items()
        if not inner.hidden
    )
    arguments = [it for it in command.params if not it.opts[0].startswith("-")]
    options = tuple(_read_option(it) for it in _options_of(command))
    kinds = tuple(_find_kind(it) for it in arguments)
    return Node(words, commands, options + shared, kinds, repeats=any(it.nargs < 0 for it in arguments))


def _options_of(command: Any) -> list[Any]:
    """Return the options of a command; those by which Typer installs its own completion are left out."""
    options = [it for it in command.params if it.opts[0].startswith("-") and not it.hidden]
    return [it for it in options if not it.opts[0].endswith("-completion")]


def _read_option(option: Any) -> Opt:
    names = (*option.opts, *option.secondary_opts)
    return Opt(names, _shorten(option.help), None if option.is_flag else _find_kind(option))


def _find_kind(parameter: Any) -> str:
    if (function := _find_completer(parameter)) is not None:
        return ASKED.get(function) or "choice:" + ",".join(complete_presets(""))
    annotation = parameter.type_descriptor.annotation
    for part in (annotation, *typing.get_args(annotation)):
        if typing.get_origin(part) is typing.Literal:
            return "choice:" + ",".join(str(value) for value in typing.get_args(part))
    is_path = Path in (annotation, *typing.get_args(annotation)) or parameter.metavar == "FILE"
    return "file" if is_path else "none"


def _find_completer(parameter: Any) -> str | None:
    """Return the name of the function that completes a parameter: Typer keeps it inside another."""
    wrapper = parameter._custom_shell_complete
    if wrapper is None:
        return None
    inside = [cell.cell_contents for cell in inspect.unwrap(wrapper).__closure__ or ()]
    [name] = [it.__name__ for it in inside if callable(it)]
    return str(name)


def _shorten(text: str | None) -> str:
    """Return the first sentence of a help, without what a shell would take for its own."""
    first = (text or "").strip().splitlines()[0].partition(". ")[0].rstrip(".")
    plain = "".join(character for character in first.replace("'", "’") if character not in '`"\\$[]')
    return textwrap.shorten(plain, _HELP_CHARS, placeholder=" …")
