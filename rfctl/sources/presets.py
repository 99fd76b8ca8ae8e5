"""Ready settings of gateways, one file each: `generic/presets/NAME.toml` has what a section [sources.NAME] may have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rfctl.sources.generic.map_check import MERGED_TABLES

FOLDER = Path(__file__).parent / "generic" / "presets"


def list_presets() -> list[str]:
    """Return the names of all presets."""
    return list(_list_names())


def read_preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset that there is."""
    return tomllib.loads(_read(name))


def read_presets() -> None:
    """Read all of them: from now on those of another version may stand in their place."""
    for name in _list_names():
        _read(name)


@cache
def _list_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def _read(name: str) -> str:
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def merge_maps(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset's map with the operator's own keys in it; in the tables of types, with its own entries."""
    merged = {**preset, **own}
    for table in MERGED_TABLES:
        if isinstance(below := preset.get(table), dict) and isinstance(above := own.get(table), dict):
            merged[table] = {**below, **above}
    return merged
