"""A preset stands below the section that names it: its keys come from there, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.config.toml_text import render_configuration
from rfctl.errors import SettingsError
from rfctl.sources.presets import list_presets, read_preset

PAGE = '[sources.fb]\npreset = "messenger"\nsecrets = ["s"]\n'


def configure(folder: Path, text: str, **variables: str) -> Configuration:
    path = folder / "c.toml"
    path.write_text(text)
    return load(Environment({"HOME": str(folder), **variables}), file=path)


def page_of(folder: Path, text: str, **variables: str) -> Any:
    return configure(folder, text, **variables).settings.sources["fb"]


def find_problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        configure(folder, text)
    return refused.value.problems


def test_source_with_a_preset_needs_nothing_else(tmp_path: Path) -> None:
    source = page_of(tmp_path, PAGE)
    preset = read_preset("messenger")
    assert (source.type, source.map, source.auth) == ("generic", preset["map"], preset["auth"])


def test_key_of_the_section_comes_before_that_of_the_preset(tmp_path: Path) -> None:
    configuration = configure(tmp_path, PAGE + "dedupe_s = 5\n")
    assert configuration.settings.sources["fb"].dedupe_s == 5
    assert configuration.set_by("sources.fb.dedupe_s").endswith("c.toml:4")
    assert configuration.set_by("sources.fb.auth") == "preset messenger"
    assert configuration.set_by("sources.fb.quiet_ms") == "default"


def test_map_and_its_tables_of_types_are_merged_key_by_key(tmp_path: Path) -> None:
    preset = read_preset("messenger")["map"]
    text = (
        PAGE + '[sources.fb.map]\ntext = "message.text"\ntypes = { sticker = "image" }\nown_if = { a = 1 }\n'
    )
    mapping = page_of(tmp_path, text).map
    changed = {key for key in mapping if mapping[key] != preset.get(key)}
    assert changed == {"text", "types", "own_if"}
    assert mapping["types"] == {**preset["types"], "sticker": "image"}
    assert mapping["own_if"] == {"a": 1}


def test_empty_text_takes_a_key_of_the_preset_out(tmp_path: Path) -> None:
    text = PAGE + '[sources.fb.map]\naccount = ""\nown_if = ""\ntypes = { file = "" }\n'
    source = page_of(tmp_path, text)
    assert source.map["account"] == ""
    assert find_problems(tmp_path, PAGE + 'map = { phone = "" }\n')[0].startswith(
        "sources.fb.map: `phone` is missing"
    )


def test_fault_in_an_own_key_is_named_with_its_line(tmp_path: Path) -> None:
    [problem] = find_problems(tmp_path, PAGE + '[sources.fb.map]\ntxt = "message.text"\n')
    assert problem.startswith("sources.fb.map: unknown key `txt`; did you mean text?")
    assert problem.endswith("c.toml:4)")


def test_unknown_preset_is_the_only_thing_that_is_wrong(tmp_path: Path) -> None:
    [problem] = find_problems(tmp_path, '[sources.fb]\npreset = "mesenger"\nauth_header = "X"\n')
    names = ", ".join(list_presets())
    assert problem.startswith(
        f"sources.fb.preset: there is no preset mesenger; did you mean messenger? There is {names}"
    )
    [problem] = find_problems(tmp_path, '[sources.fb]\npreset = "none-such-thing"\n')
    assert problem.startswith(f"sources.fb.preset: there is no preset none-such-thing; there is {names}")


def test_preset_of_another_type_is_refused(tmp_path: Path) -> None:
    [problem] = find_problems(tmp_path, '[sources.fb]\ntype = "telegram"\npreset = "messenger"\n')
    assert problem.startswith("sources.fb.preset: messenger is for type generic, and type is telegram")


def test_preset_may_be_set_by_a_variable(tmp_path: Path) -> None:
    source = page_of(tmp_path, "", RFCTL_SOURCES__FB__PRESET="messenger", RFCTL_SOURCES__FB__SECRETS="s")
    assert source.map["each"] == "entry.*.messaging.*"


def test_source_with_a_preset_is_read_back_as_it_was_shown(tmp_path: Path) -> None:
    before = configure(tmp_path, PAGE + 'map = { account = "", types = { sticker = "image" } }\n')
    after = configure(tmp_path, render_configuration(before, with_secrets=True))
    assert after.settings == before.settings


def test_empty_preset_is_none(tmp_path: Path) -> None:
    source = page_of(tmp_path, '[sources.fb]\ntype = "generic"\npreset = ""\n')
    assert (source.preset, source.map) == ("", {})
