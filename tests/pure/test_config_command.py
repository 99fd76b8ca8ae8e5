"""`rfctl config show` and `explain`: what is set, in sections with names too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rfctl.cli.app import app
from rfctl.errors import NothingFoundError

SALON = '[sources.salon]\ntype = "telegram"\n'


def run(tmp_path: Path, text: str, *command: str, output: str = "json") -> Result:
    (tmp_path / "settings.toml").write_text(text)
    line = ["-o", output, "--config", str(tmp_path / "settings.toml"), "config", *command]
    return CliRunner().invoke(app, line)


def test_show_lists_the_settings_of_each_named_section_that_its_type_reads(tmp_path: Path):
    told = json.loads(run(tmp_path, SALON + 'secrets = ["hush"]\n', "show").stdout)
    rows = {one["name"]: one for one in told}
    assert rows["sources.salon.secrets"]["value"] == ["•••"]
    assert rows["sources.salon.quiet_ms"]["value"] is None
    assert "sources.salon.verify_token" not in rows
    assert not [name for name in rows if ".NAME." in name]
    assert "(unset)" in run(tmp_path, SALON, "show", output="table").stdout


@pytest.mark.parametrize(
    ("key", "value", "set_by"),
    [
        ("sources.salon.quiet_ms", None, "default"),
        ("sources.salon.type", "telegram", "settings.toml:2"),
        ("sources.other.quiet_ms", None, "nobody: there is no [sources.other]"),
        ("sources.NAME.quiet_ms", None, "nobody: there is no [sources.NAME]"),
        ("sinks.crm.url", "https://h/?token=•••", "settings.toml:5"),
        ("sinks.crm.headers", {"x": "•••"}, "settings.toml:6"),
        ("rules.x.then", None, "nobody: there is no [rules.x]"),
        ("batching.quiet_ms", 5000, "default"),
    ],
)
def test_explain_knows_named_settings_whether_configured_or_not(
    tmp_path: Path, key: str, value: object, set_by: str
):
    text = SALON + '[sinks.crm]\ntype = "http"\nurl = "https://h/?token=hush"\nheaders = { x = "hush" }\n'
    told = json.loads(run(tmp_path, text, "explain", key).stdout)
    assert (told["name"], told["value"]) == (key, value)
    assert told["set_by"].endswith(set_by)
    assert "hush" not in run(tmp_path, text, "explain", key, output="table").stdout


def test_explain_names_the_types_that_read_a_setting(tmp_path: Path):
    told = json.loads(run(tmp_path, "", "explain", "sources.salon.verify_token").stdout)
    assert told["for"] == ["whatsapp-cloud"]


def test_explain_of_what_is_no_setting_names_a_near_one(tmp_path: Path):
    problem = run(tmp_path, "", "explain", "sources.salon.quit_ms").exception
    assert isinstance(problem, NothingFoundError)
    assert "sources.salon.quiet_ms" in problem.next
