"""What a shell offers behind TAB for sources, sinks, settings and dead letters.

It must be quick and silent: files are read without their models, and Redis has a second to answer. What cannot be read
offers nothing: the command itself says what is wrong.
"""

from __future__ import annotations

import contextlib
import glob
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

_VARIABLE = "RFCTL_"
_LIMIT = 50
_PATIENCE_S = 1.0


def complete_sinks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the sinks in the settings files, the variables and the credentials."""
    return _list_sections(ctx, "sinks", incomplete)


def complete_sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the sources in the settings files, the variables and the credentials."""
    return _list_sections(ctx, "sources", incomplete)


def complete_presets(incomplete: str) -> list[str]:
    """Return the names of the presets."""
    folder = Path(__file__).parents[1] / "sources" / "generic" / "presets"
    return sorted(path.stem for path in folder.glob(f"{glob.escape(incomplete)}*.toml"))


def complete_settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of settings; those of a named section have the names that the operator has chosen."""
    from rfctl.cli.setting_names import SETTING_NAMES

    names: list[str] = []
    for name in SETTING_NAMES:
        section, _, setting = name.partition(".NAME.")
        owners = _list_sections(ctx, section, "") if setting else []
        names += [f"{section}.{owner}.{setting}" for owner in owners] if setting else [name]
    return [name for name in names if name.startswith(incomplete)]


def complete_dead_letters(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the newest dead letters: the id of each, with its sink and its last error."""
    import asyncio

    with contextlib.suppress(Exception):
        return asyncio.run(_list_dead_letters(ctx, incomplete))
    return []


async def _list_dead_letters(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    import asyncio

    from rfctl.assembly.store import open_store
    from rfctl.cli.context import Invocation
    from rfctl.text import visible

    options = ctx.find_root().params
    config, redis = options.get("config"), options.get("redis")
    run = Invocation(
        config=Path(config) if config else None, redis=redis, embedded=bool(options.get("embedded"))
    )
    async with asyncio.timeout(_PATIENCE_S):
        store = open_store(run.configuration(), max_connections=1)
        try:
            letters = await store.dead_letters.list_newest(_LIMIT)
        finally:
            await store.close()
    errors = {letter.id: letter.attempts[-1].error if letter.attempts else "" for letter in letters}
    return [
        (letter.id, visible(f"{letter.sink}: {errors[letter.id]}"))
        for letter in reversed(letters)
        if letter.id.startswith(incomplete)
    ]


def _list_sections(ctx: typer.Context, kind: str, incomplete: str) -> list[str]:
    """Return the names that the operator has chosen for the sections of a kind, such as `sinks`."""
    names = dict.fromkeys([*_list_in_files(ctx, kind), *_list_in_variables(kind)])
    return [name for name in names if name.startswith(incomplete)]


def _list_in_files(ctx: typer.Context, kind: str) -> Iterator[str]:
    from rfctl.config.environment import Environment

    environment = Environment.actual()
    chosen = ctx.find_root().params.get("config")
    files = [Path(chosen)] if chosen else [environment.system_file, environment.user_file]
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            section: Any = tomllib.loads(file.read_text(encoding="utf-8")).get(kind)
            if isinstance(section, dict):
                yield from (name for name, inner in section.items() if isinstance(inner, dict))


def _list_in_variables(kind: str) -> Iterator[str]:
    for variable in os.environ:
        section, _, rest = variable.removeprefix(_VARIABLE).lower().partition("__")
        name, _, setting = rest.partition("__")
        if variable.startswith(_VARIABLE) and section == kind and setting:
            yield name
