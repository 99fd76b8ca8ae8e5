"""Presets of sources: their settings stand below those of the operator, and map is merged key by key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rfctl.config.origin import SettingOrigin, list_entries
from rfctl.config.problems import SettingsProblems
from rfctl.sources.presets import list_presets, merge_maps, read_preset
from rfctl.text import did_you_mean

Origins = dict[str, list[SettingOrigin]]


def apply_presets(sections: Iterable[str], origins: Origins, problems: SettingsProblems) -> list[str]:
    """Put the settings of each section's preset below its own. Returns the sections whose preset cannot be used."""
    broken = []
    for section in sections:
        chosen = origins.get(f"{section}.preset")
        if not (section.startswith("sources.") and chosen and isinstance(chosen[-1].value, str)):
            continue
        name = chosen[-1].value
        fault = find_preset_fault(name) or _find_type_fault(section, name, origins)
        if fault:
            problems.add(f"{section}.preset", fault, [chosen[-1].set_by])
            broken.append(section)
        elif name:
            _apply(section, name, origins)
    return broken


def find_preset_fault(name: str) -> str:
    """Return that there is no such preset, and which there are; "" for one that there is, and for none."""
    names = list_presets()
    if not name or name in names:
        return ""
    near = did_you_mean(name, names)
    return f"there is no preset {name}{near}{' There' if near else '; there'} is {', '.join(names)}"


def _find_type_fault(section: str, name: str, origins: Origins) -> str:
    types = origins.get(f"{section}.type")
    wanted = read_preset(name)["type"] if name else ""
    if not (types and wanted) or types[-1].value == wanted:
        return ""
    return f"{name} is for type {wanted}, and type is {types[-1].value}: take one of them away"


def _apply(section: str, name: str, origins: Origins) -> None:
    for key, value in read_preset(name).items():
        layers = origins.setdefault(f"{section}.{key}", [])
        origin = SettingOrigin(f"preset {name}", value)
        if key == "map" and layers and isinstance(layers[-1].value, dict):
            layers[-1] = _merge(origin, layers[-1])
        layers.insert(0, origin)


def _merge(preset: SettingOrigin, own: SettingOrigin) -> SettingOrigin:
    """Return the map of both. Who set an entry is whoever has it; a table with entries of both is the operator's."""
    merged: dict[str, Any] = merge_maps(preset.value, own.value)
    names = {entry for entry, _ in list_entries(own.value)}
    inside = {
        entry: own.set_by_inside(entry) if entry in names else preset.set_by
        for entry, _ in list_entries(merged)
    }
    return SettingOrigin(own.set_by, merged, inside)
