"""`rfctl config explain sources.NAME`: all of a source, key by key, with who set each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from rfctl.cli.context import Invocation, note
from rfctl.config.loader import Configuration
from rfctl.config.options import Option, configured_options, find_option, mask_value, value_of
from rfctl.config.toml_text import render_toml_value
from rfctl.errors import NothingFoundError
from rfctl.sources.presets import list_presets
from rfctl.text import did_you_mean

_OPENED = ("types", "type_if", "platforms")
"""The tables inside a map whose entries may come from several places."""
Row = tuple[str, Any, str, list[str]]


def load_with_notices(run: Invocation) -> Configuration:
    """Load the settings for somebody who looks at them: these are noted here alone, and not by every command."""
    from rfctl.assembly.notices import list_notices

    configuration = run.configuration(notify=True)
    for notice in list_notices(configuration.settings):
        note(notice)
    return configuration


def explain_source(run: Invocation, place: str) -> None:
    """Print every key of a source, its value, who set it and what that overrides. Raises NothingFoundError.

    The keys that nobody has set are not there.
    """
    configuration = load_with_notices(run)
    name = place.partition(".")[2]
    sources = configuration.settings.sources
    if name not in sources:
        near = did_you_mean(name, sources) or f"; there is {', '.join(sources) or 'none'}"
        raise NothingFoundError(f"there is no [{place}]{near}", next="rfctl config show")
    rows = list(_list_rows(configuration, place))
    if run.output == "toml":
        typer.echo(_render(place, rows), nl=False)
        return
    if run.is_json:
        columns = ("name", "value", "set_by", "overrides")
        run.out.rows(dict(zip(columns, row, strict=True)) for row in rows)
        return
    lines = [
        (key.removeprefix(f"{place}."), render_toml_value(value), set_by, "; ".join(overrides))
        for key, value, set_by, overrides in rows
    ]
    run.out.table(("key", "value", "set by", "overrides"), lines)
    if not sources[name].preset:
        run.out.note(f"it has no preset; there is {', '.join(list_presets())}")


def _list_rows(configuration: Configuration, place: str) -> Iterator[Row]:
    for option in configured_options(configuration.settings):
        if option.name.startswith(f"{place}.") and option.name in configuration.origins:
            value = value_of(configuration.settings, option.name)
            if option.name == f"{place}.map":
                yield from _list_map_rows(configuration, option, value)
            else:
                shown = mask_value(option, value)
                yield option.name, shown, configuration.set_by(option.name), configuration.overrides(option)


def _list_map_rows(configuration: Configuration, option: Option, mapping: dict[str, Any]) -> Iterator[Row]:
    entries: dict[str, Any] = {}
    for key, value in mapping.items():
        if key in _OPENED and isinstance(value, dict):
            entries |= {f"{key}.{name}": entry for name, entry in value.items()}
        else:
            entries[key] = value
    *losers, winner = configuration.origins[option.name]
    for entry, value in entries.items():
        set_by = winner.set_by_inside(entry)
        overrides = [
            f"{render_toml_value(other)} ({loser.set_by_inside(entry)})"
            for loser in reversed(losers)
            if loser.set_by_inside(entry) != set_by and (other := _find_entry(loser.value, entry)) is not None
        ]
        yield f"{option.name}.{entry}", value, set_by, overrides


def _find_entry(mapping: Any, entry: str) -> Any:
    table, _, name = entry.partition(".")
    value = mapping.get(table) if isinstance(mapping, dict) else None
    return value.get(name) if name and isinstance(value, dict) else None if name else value


def _render(place: str, rows: list[Row]) -> str:
    """Return the source as a section of a settings file, with who set each key behind it. A secret is a comment."""
    lines = [f"[{place}]"]
    for name, value, set_by, _ in rows:
        mark = "# " if find_option(".".join(name.split(".")[:3])).secret else ""
        key = _quote(name.removeprefix(f"{place}."))
        lines.append(f"{mark}{key} = {render_toml_value(value)}  # {set_by}")
    return "\n".join(lines) + "\n"


def _quote(key: str) -> str:
    """Return a dotted key of TOML. What a sender calls a type may have any characters."""
    *outer, last = key.split(".", 2)
    return ".".join(
        [*outer, last if last.replace("_", "").isalnum() and last.isascii() else render_toml_value(last)]
    )
