"""The reference of the commands, from Typer's own table: arguments, options, examples and exit statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rfctl.cli.app import load_all_commands
from rfctl.errors import EXIT_STATUSES
from tests.support.site.markdown import write_code, write_table

EXAMPLES_ARE = "<!-- not run: is an example -->\n"
_MARKUP = re.compile(r"\[/?[a-z]*\]")


def write_commands() -> str:
    """Return a section for each command, and for each below it, in the order of `rfctl --help`."""
    return "\n".join(_write_command(path, command) for path, command in list_commands())


def list_commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, with the words that call it."""
    for name, command in load_all_commands().commands.items():
        inner = getattr(command, "commands", None)
        if inner:
            yield from ((f"{name} {word}", each) for word, each in inner.items())
        else:
            yield name, command


def write_global_options() -> str:
    """Return the table of options that may stand before and after each command."""
    return _write_options(load_all_commands())


def write_exit_statuses() -> str:
    """Return the table of exit statuses."""
    return write_table(
        ("status", "meaning"), ((str(number), meaning) for number, meaning in EXIT_STATUSES.items())
    )


def _write_command(path: str, command: Any) -> str:
    about, _, examples = (command.help or "").partition("Examples:")
    words = [f"rfctl {path}", *(_usage(parameter) for parameter in command.params if _is_argument(parameter))]
    parts = [
        f"## `rfctl {path}`\n",
        _MARKUP.sub("", about).strip() + "\n",
        write_code("text", " ".join([*words, "[OPTIONS]"])),
    ]
    if any(_is_shown(parameter) for parameter in command.params):
        parts.append(_write_options(command))
    if lines := [line.strip() for line in examples.splitlines() if line.strip()]:
        parts.append(EXAMPLES_ARE + write_code("sh", "\n".join(lines)))
    return "\n".join(parts)


def _write_options(command: Any) -> str:
    rows = [
        (_spell(parameter), _value(parameter), _help(parameter))
        for parameter in command.params
        if _is_shown(parameter)
    ]
    return write_table(("argument or option", "value", "meaning"), rows)


def _is_argument(parameter: Any) -> bool:
    return str(parameter.param_type_name) == "argument"


def _is_shown(parameter: Any) -> bool:
    return not getattr(parameter, "hidden", False)


def _usage(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name).upper().strip("[]")
    name = f"{name}..." if parameter.nargs == -1 else name
    return name if parameter.required else f"[{name}]"


def _spell(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{_usage(parameter)}`"
    return ", ".join(f"`{word}`" for word in (*parameter.opts, *parameter.secondary_opts))


def _value(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    # The class of a type is Typer's own affair, and differs between its versions.
    shown = str(parameter.metavar or parameter.name).upper()
    default = parameter.default
    has_default = isinstance(default, int | float | str) and default != ""
    return f"{shown}; else `{default}`" if has_default else shown


def _help(parameter: Any) -> str:
    return _MARKUP.sub("", parameter.help or "")
