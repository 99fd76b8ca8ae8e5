"""Writes settings as TOML: single values, sections, and the whole configuration that is in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w

from rfctl.config.loader import Configuration
from rfctl.config.options import NAMED, Option, configured_options, mask_value, value_of

_IN_FORCE = """\
# rfctl: the settings that are in force. A line behind a # is a default, which nobody has set."""
_LEFT_OUT = """
# The masked values are secrets, which were left out: rfctl config show -o toml --secrets --to FILE writes them."""


def render_toml_value(value: Any) -> str:
    """Return a value as TOML, on one line."""
    # Beside a value of another kind, tomli-w writes a table inline. Inside strings it writes no line feed as it is.
    text = tomli_w.dumps({"x": [0, value]}, indent=0)
    inside = text.removeprefix("x = [\n0,\n").removesuffix(",\n]\n")
    return inside.replace("[\n", "[").replace(",\n]", "]").replace("\n", " ")


def render_toml_section(name: str, settings: Mapping[str, Any]) -> str:
    """Return a section as TOML, one line a setting."""
    lines = [f"{setting} = {render_toml_value(value)}" for setting, value in settings.items()]
    return "\n".join([f"[{name}]", *lines])


def render_configuration(configuration: Configuration, *, with_secrets: bool) -> str:
    """Return the configuration as a settings file. Without secrets these are comments, with dots in their places."""
    sections: dict[str, list[str]] = {}
    for place in _sections_of(configuration):
        sections[place] = [f"[{place}]"]
    left_out = False
    for option in configured_options(configuration.settings):
        place, _, setting = option.name.rpartition(".")
        value = value_of(configuration.settings, option.name)
        if value is None:
            continue
        hidden = not with_secrets and mask_value(option, value) != value
        left_out |= hidden
        sections[place].append(_line(configuration, option, setting, value, hidden=hidden))
    head = _IN_FORCE + (_LEFT_OUT if left_out else "")
    return "\n\n".join([head, *("\n".join(lines) for lines in sections.values())]) + "\n"


def _line(configuration: Configuration, option: Option, setting: str, value: Any, *, hidden: bool) -> str:
    if hidden:
        return f"# {setting} = {render_toml_value(mask_value(option, value))}"
    mark = "# " if configuration.set_by(option.name) == "default" else ""
    return f"{mark}{setting} = {render_toml_value(value)}"


def _sections_of(configuration: Configuration) -> Iterator[str]:
    for section in type(configuration.settings).model_fields:
        if section in NAMED:
            yield from (f"{section}.{name}" for name in getattr(configuration.settings, section))
        else:
            yield section
