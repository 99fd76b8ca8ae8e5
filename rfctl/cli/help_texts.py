"""What Typer would write otherwise in `--help`: each example on a line of its own, and a word for each value.

Typer's own words differ between its versions. Ours are PHONE, COUNT, and none behind a flag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def list_examples(command: Any) -> None:
    """Put each example of a command, and of those below it, on a line of its own: one that is broken cannot be copied."""
    text, mark, examples = (command.help or "").partition("Examples:  ")
    if mark:
        command.help = "\n".join([f"{text}Examples:", *map(str.strip, examples.split("  |  "))])
    for inner in getattr(command, "commands", {}).values():
        list_examples(inner)


def name_values(command: Any) -> None:
    """Name the values of a command, and of those below it, as `name_value` does."""
    list_parameters: Callable[[Any], Any] = command.get_params

    def get_params(ctx: Any) -> Any:
        parameters = list_parameters(ctx)
        for parameter in parameters:
            name_value(parameter, ctx)
        return parameters

    command.get_params = get_params
    for inner in getattr(command, "commands", {}).values():
        name_values(inner)


def name_value(parameter: Any, ctx: Any) -> None:
    """Name a value after its option: Typer would say its type, and `<bool>` behind a flag. Its own name or choices stay."""
    if parameter.param_type_name == "argument":
        parameter.metavar = parameter.metavar or parameter.name.upper()
        parameter.display_type_rich = lambda **_: None  # it would say `<str>` beside the name
    elif getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    elif parameter.metavar is None and not _has_choices(parameter, ctx):
        parameter.metavar = parameter.opts[0].strip("-").replace("-", "_").upper()


def _has_choices(parameter: Any, ctx: Any) -> bool:
    """Say whether Typer lists what an option takes; how it knows depends on its version."""
    if hasattr(parameter, "display_type"):
        return "|" in parameter.display_type(ctx)
    return hasattr(parameter.type, "choices")
