"""What rfctl writes as TOML is read back equal: any value, and every setting of every type."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.config.environment import Environment
from rfctl.config.example import list_examples
from rfctl.config.loader import Configuration, load
from rfctl.config.options import NAMED, Option, list_options, template_of, value_of
from rfctl.config.toml_text import render_configuration, render_toml_section, render_toml_value
from rfctl.config.unions import model_for
from rfctl.sources.answers.config import AnswerSettings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OTHER_VALUES = {
    "redis.url": "rediss://me:pass@h:6380/1",
    "batching.split_by": ["account", "company"],
    "batching.separator": '\n"•"\t',
    "http.host": "::",
    "http.socket_mode": "0600",
    "http.allowed_hosts": ["bot.internal", "10.0.0.7"],
    "output.stream": "merged:out",
    "daemon.monitor": "127.0.0.1:9464",
    "redis.embedded_dir": "/var/lib/x y",
    "http.admin_token": "a \"token\" with 'quotes' and \\",
}
"""Values for settings whose default is nothing that a person would set."""


def configuration(tmp_path: Path, text: str, **variables: str) -> Configuration:
    file = tmp_path / "c.toml"
    file.write_text(text)
    file.chmod(0o600)
    return load(Environment({"HOME": str(tmp_path), **variables}), file=file)


def other_value(option: Option) -> Any:
    """Return a value of a fixed setting that is not its default."""
    if option.name in OTHER_VALUES:
        return OTHER_VALUES[option.name]
    if isinstance(option.default, bool):
        return not option.default
    if isinstance(option.default, int):
        return option.default + 1
    choices = option.kind.split(" | ")
    return choices[-1] if len(choices) > 1 else "other"


@given(value=VALUES)
def test_any_value_is_read_back_equal(value: Any) -> None:
    text = render_toml_value(value)
    assert "\n" not in text
    assert tomllib.loads(f"x = {text}")["x"] == value


def test_every_fixed_setting_is_read_back_equal(tmp_path: Path) -> None:
    fixed = [option for option in list_options() if ".NAME." not in option.name]
    sections = dict.fromkeys(option.name.partition(".")[0] for option in fixed)
    text = "\n".join(
        render_toml_section(
            section,
            {
                option.name.partition(".")[2]: other_value(option)
                for option in fixed
                if option.name.startswith(f"{section}.")
            },
        )
        for section in sections
    )
    before = configuration(tmp_path, text)
    for option in fixed:
        assert value_of(before.settings, option.name) != option.default, option.name
    after = configuration(tmp_path, render_configuration(before, with_secrets=True))
    assert after.settings == before.settings


CASES = [(section, example) for section in NAMED for example in list_examples(section)]


@pytest.mark.parametrize(("section", "example"), CASES, ids=lambda case: getattr(case, "name", case))
def test_every_setting_of_every_type_is_read_back_equal(tmp_path: Path, section: str, example: Any) -> None:
    table = dict(example.settings)
    model = model_for(section, table.get("type", ""))
    for option in list_options():
        place, _, setting = option.name.rpartition(".")
        if place == f"{section}.NAME" and setting in model.model_fields and setting not in table:
            table[setting] = option.example
    if not table.get("map"):
        for setting in ("map", *AnswerSettings.model_fields):
            table.pop(setting, None)
    if table.get("type") != "generic":
        table.pop("preset", None)  # the example is a preset of that type
    if section == "rules":
        table.pop("sources")
    if table.get("type") == "bullmq":
        table["url"] = "redis://:secret@h/0"
    before = configuration(tmp_path, render_toml_section(f"{section}.my-one", table) + "\n")
    after = configuration(tmp_path, render_configuration(before, with_secrets=True))
    assert after.settings == before.settings
    assert list(getattr(after.settings, section)) == ["my-one"]
    assert all(after.set_by(name) != "default" for name in before.origins)


def test_a_written_file_has_the_values_of_all_layers_and_the_defaults_as_comments(tmp_path: Path) -> None:
    before = configuration(
        tmp_path,
        "[batching]\nquiet_ms = 4000\n[sources.generic]\n",
        RFCTL_BATCHING__MAX_SIZE="7",
        RFCTL_RULES__STOP__WORDS="stop,halt",
        RFCTL_RULES__STOP__ACTION="discard_batch",
    )
    text = render_configuration(before, with_secrets=False)
    assert "\nquiet_ms = 4000\n" in text
    assert "\nmax_size = 7\n" in text
    assert "\n# max_wait_ms = 60000\n" in text
    assert '\n[rules.stop]\nwords = ["stop", "halt"]\n' in text.replace(
        "# sources = []\n# companies = []\n# accounts = []\n# types = []\n", ""
    )
    assert configuration(tmp_path, text).settings == before.settings


def test_secrets_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    before = configuration(
        tmp_path,
        '[redis]\nurl = "redis://me:hush@h/0"\n[http]\nadmin_token = "hush"\n'
        '[sources.salon]\ntype = "telegram"\nsecrets = ["hush"]\n'
        '[sinks.crm]\ntype = "http"\nurl = "https://h/"\nheaders = { Authorization = "hush" }\n',
    )
    masked = render_configuration(before, with_secrets=False)
    assert "hush" not in masked
    assert '# url = "redis://me:•••@h/0"' in masked
    assert "--secrets --to FILE" in masked
    without = configuration(tmp_path, masked)
    assert without.set_by("http.admin_token") == without.set_by("redis.url") == "default"
    assert without.set_by("sinks.crm.url") != "default", "a URL without a password is no secret"
    full = render_configuration(before, with_secrets=True)
    assert "--secrets" not in full
    assert configuration(tmp_path, full).settings == before.settings


def test_every_written_name_is_in_the_table_of_options(tmp_path: Path) -> None:
    text = render_configuration(configuration(tmp_path, ""), with_secrets=True)
    names = {option.name for option in list_options()}
    table = tomllib.loads("\n".join(line.removeprefix("# ") for line in text.splitlines()[1:]))
    names_in_file = {f"{section}.{setting}" for section, inner in table.items() for setting in inner}
    assert names_in_file == {name for name in names if ".NAME." not in name}
    assert all(template_of(name) == name for name in names_in_file)
