"""`rfctl config explain sources.NAME`: all of a source, and where each key of it comes from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rfctl.cli.app import app
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import NothingFoundError

PAGE = """\
[sources.fb]
preset = "messenger"
secrets = ["hush"]
dedupe_s = 5
[sources.fb.map]
text = "message.text"
types = { sticker = "image", "a.b" = "poll", file = "text" }
"""


def explain(tmp_path: Path, text: str, place: str = "sources.fb", output: str = "json") -> Result:
    (tmp_path / "settings.toml").write_text(text)
    line = ["-o", output, "--config", str(tmp_path / "settings.toml"), "config", "explain", place]
    return CliRunner().invoke(app, line)


def rows_of(tmp_path: Path, text: str) -> dict[str, Any]:
    rows = json.loads(explain(tmp_path, text).stdout)
    for row in rows:
        row["set_by"] = row["set_by"].replace(f"{tmp_path}/", "")
    return {row["name"].removeprefix("sources.fb."): row for row in rows}


def test_each_key_says_who_set_it_and_what_that_overrides(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, PAGE)
    places = {name: row["set_by"] for name, row in rows.items()}
    assert places["preset"] == "settings.toml:2"
    assert places["auth"] == places["map.phone"] == places["map.types.template"] == "preset messenger"
    assert (places["map.text"], places["map.types.file"], places["map.types.a.b"]) == (
        "settings.toml:6", "settings.toml:7", "settings.toml:7",
    )  # fmt: skip
    assert rows["dedupe_s"]["overrides"] == ["172800 (preset messenger)"]
    assert rows["map.types.file"]["overrides"] == ['"document" (preset messenger)']
    assert rows["map.phone"]["overrides"] == rows["map.types.sticker"]["overrides"] == []
    assert rows["secrets"]["value"] == ["•••"]
    assert "quiet_ms" not in rows


def test_source_that_is_printed_as_toml_is_the_same_source(tmp_path: Path) -> None:
    printed = explain(tmp_path, PAGE, output="toml").stdout
    assert "hush" not in printed
    assert 'map.phone = "sender.id"  # preset messenger' in printed
    again = tmp_path / "again.toml"
    again.write_text(printed)
    before, after = (
        load(Environment({"HOME": str(tmp_path)}), file=path).settings.sources["fb"].model_dump()
        for path in (tmp_path / "settings.toml", again)
    )
    assert tomllib.loads(printed)["sources"]["fb"]["map"] == before["map"]
    assert {**after, "secrets": ["hush"]} == before


def test_source_without_a_preset_names_the_presets(tmp_path: Path) -> None:
    result = explain(tmp_path, '[sources.fb]\ntype = "telegram"\n', output="table")
    assert "messenger" in result.output
    assert "settings.toml:2" in result.output


def test_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"there is no \[sources.fbb\]; did you mean fb"):
        raise explain(tmp_path, PAGE, "sources.fbb").exception or AssertionError
