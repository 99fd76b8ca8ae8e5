"""Tables of settings, made from the models: all of them, and those that only a type of source or sink reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from rfctl.config.example import list_examples
from rfctl.config.options import NAMED, Option, list_options
from rfctl.config.toml_text import render_toml_section
from rfctl.sinks.registry import SPECS as SINKS
from rfctl.sources.registry import SPECS as SOURCES
from tests.support.site.markdown import name_anchor, write_code, write_table

SPECS: Mapping[str, Mapping[str, Any]] = {"sources": SOURCES, "sinks": SINKS}
_HEAD = ("setting", "type", "default", "meaning")
_LONG = 60
_NAMED_TITLES = {"sources": "Each source", "rules": "Each rule", "sinks": "Each sink"}


def write_all_settings() -> str:
    """Return a table for each section, with what every section of a named kind has."""
    sections: dict[str, list[Option]] = {}
    for option in list_options():
        sections.setdefault(option.name.rpartition(".")[0], []).append(option)
    parts = [f"## {_title(name)}\n\n{_table(options)}" for name, options in sections.items()]
    return "\n".join(parts)


def _title(section: str) -> str:
    kind = section.removesuffix(".NAME")
    return f"{_NAMED_TITLES[kind]}: `[{section}]`" if kind in NAMED else f"`[{section}]`"


def write_settings_of(kind: str, type_name: str) -> str:
    """Return an example of a type of source or sink, the settings that it alone reads, and where the others are."""
    options = [option for option in list_options() if option.name.startswith(f"{kind}.NAME.")]
    own = [_narrow(option, SPECS[kind][type_name].config) for option in options if type_name in option.only]
    examples = [each for each in list_examples(kind) if each.settings["type"] == type_name]
    assert examples, f"{kind} has no type {type_name}"
    blocks = [
        f"{example.title}:\n\n"
        + write_code("toml", render_toml_section(f"{kind}.{example.name}", example.settings))
        for example in examples
    ]
    title = _title(f"{kind}.NAME")
    others = f"[settings of every section](../../reference/settings.md#{name_anchor(title)})"
    return "\n".join(blocks) + (
        f"\nIts own settings, besides the {others}:\n\n{_table(own)}\n"
        if own
        else f"\nIt has the {others}, and none of its own.\n"
    )


def _narrow(option: Option, config: type[BaseModel]) -> Option:
    """Return a setting as one type has it: with the default of this type."""
    field = config.model_fields.get(option.name.rpartition(".")[2])
    has_other = field is not None and isinstance(field.default, str) and field.default != option.default
    return replace(option, only=(), default=field.default if field and has_other else option.default)


def _table(options: Iterable[Option]) -> str:
    return write_table(_HEAD, (_row(option) for option in options))


def _row(option: Option) -> tuple[str, str, str, str]:
    about = f"{option.about} For: {', '.join(option.only)}." if option.only else option.about
    return f"`{option.name.rpartition('.')[2]}`", option.kind, _default(option), about


def _default(option: Option) -> str:
    if option.default is None:
        return "needed" if option.name.endswith(".type") else "unset"
    text = json.dumps(option.default)
    if option.default in ("", [], {}):
        return "empty"
    return f"`{text}`" if len(text) <= _LONG else f"{len(option.default)} values"
