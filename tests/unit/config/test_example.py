"""Whatever the example file shows can be taken over as it stands, and so can a file for chosen types."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.sinks import build_target, list_forwarded_sinks
from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.example import list_examples, render_starter
from rfctl.config.loader import load
from rfctl.config.options import NAMED, OF_OTHER_PACKAGES, Option, list_options
from rfctl.config.settings import Settings
from rfctl.config.toml_text import render_toml_section, render_toml_value
from rfctl.errors import UsageError
from rfctl.section import Example
from rfctl.sinks import registry as sinks
from rfctl.sources import registry as sources
from tests.support.documents import EXAMPLE, documents

COMMENTED_OUT = re.compile(r"(?m)^#   (.*)$")

DOCUMENTS = documents()


def name_document(path: Path) -> str:
    return str(path.relative_to(EXAMPLE.parent))


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "etc.toml").write_text(text)
    return load(Environment({"HOME": str(tmp_path)}, tmp_path / "etc.toml")).settings


def ready() -> list[str]:
    """Return the configurations of the file that are ready to use, each without its `#`."""
    blocks = re.split(r"(?m)^#?$", EXAMPLE.read_text())
    texts = ["\n".join(COMMENTED_OUT.findall(block)) for block in blocks if ".NAME]" not in block]
    return [text for text in texts if text]


def named_options() -> list[Option]:
    return [option for option in list_options() if ".NAME." in option.name]


def base(section: str, kind: str) -> dict[str, Any]:
    """Return the settings of an example of this type, the last one."""
    tables = [dict(example.settings) for example in list_examples(section)]
    return [table for table in tables if not kind or table.get("type") == kind][-1]


def shown_value(option: Option) -> Any:
    """Return the value that the file shows for a setting of a named section."""
    section, _, name = option.name.partition(".NAME.")
    block = EXAMPLE.read_text().partition(f"\n# [{section}.NAME]\n")[2].partition("\n\n")[0]
    [line] = re.findall(rf"(?m)^#   ({name} = .*)$", block)
    return tomllib.loads(line)[name]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_document)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    stale = "write it anew: python -m tests.support.documents --write"
    assert path.read_text() == DOCUMENTS[path], stale


def test_the_file_changes_nothing_with_or_without_its_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    uncommented = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)
    assert tomllib.loads(uncommented)["batching"]["quiet_ms"] == 5000
    defaults = load(Environment({"HOME": "/nonexistent"}, tmp_path / "x")).settings
    assert settings(tmp_path, text) == settings(tmp_path, uncommented) == defaults


@pytest.mark.parametrize("text", ready(), ids=lambda text: text.partition("\n")[0])
def test_a_ready_configuration_works_as_it_stands(tmp_path: Path, text: str) -> None:
    loaded = settings(tmp_path, text)
    assert len(text.splitlines()) <= 6
    assert len(build_sources(loaded)) == 1
    for name, config in list_forwarded_sinks(loaded).items():
        assert build_target(name, config, redis_url="redis://h/0").name == name
    assert len(loaded.sources) + len(loaded.rules) + len(loaded.sinks) == 1


def test_every_type_has_a_ready_configuration(tmp_path: Path) -> None:
    loaded = settings(tmp_path, "\n".join(ready()))
    assert {config.type for config in loaded.sources.values()} == set(sources.SPECS)
    assert {config.type for config in loaded.sinks.values()} == set(sinks.SPECS)
    assert len(ready()) == sum(len(list_examples(section)) for section in NAMED)


@pytest.mark.parametrize("option", named_options(), ids=lambda option: option.name)
def test_each_setting_is_shown_with_a_value_that_each_of_its_types_takes(
    tmp_path: Path, option: Option
) -> None:
    section, _, name = option.name.partition(".NAME.")
    for kind in option.only or ("",):
        if kind == OF_OTHER_PACKAGES:
            continue  # test_settings has a sink of another package
        table = {**base(section, kind), name: shown_value(option)}
        if name == "type":
            table = base(section, shown_value(option))
        if name == "release_words" and "map" in table:  # a map without these cannot tell who wrote
            table["map"] = {**table["map"], "own_if": "ours", "own_phone": "to", "by_hand_if": "by_hand"}
        loaded = settings(tmp_path, render_toml_section(f"{section}.x", table) + "\n")
        value = getattr(getattr(loaded, section)["x"], name)
        assert value == shown_value(option)


def test_empty_default_is_named_beside_its_example() -> None:
    for option in named_options():
        value = shown_value(option)
        is_empty = option.default is None or not (option.default or value == option.default)
        line = EXAMPLE.read_text().partition(f"\n# {option.about} (")[2].partition("\n")[0]
        words = ("needed)", "unset by default)", "empty by default)")
        assert is_empty == any(word in line for word in words), option.name


@pytest.mark.parametrize("kind", sources.SPECS)
def test_a_file_for_one_source_works_as_it_stands(tmp_path: Path, kind: str) -> None:
    loaded = settings(tmp_path, render_starter([kind], []))
    assert [config.type for config in loaded.sources.values()] == [kind]
    assert not loaded.sinks


@pytest.mark.parametrize("kind", sinks.SPECS)
def test_a_file_for_one_sink_works_as_it_stands(tmp_path: Path, kind: str) -> None:
    loaded = settings(tmp_path, render_starter([], [kind]))
    assert [config.type for config in loaded.sinks.values()] == [kind]
    assert not loaded.sources


def test_a_file_for_several_types_has_a_section_for_each(tmp_path: Path) -> None:
    loaded = settings(tmp_path, render_starter(["telegram", "waha", "telegram"], ["http", "http"]))
    assert list(loaded.sources) == ["telegram", "waha", "telegram-2"]
    assert list(loaded.sinks) == ["crm", "crm-2"]


@pytest.mark.parametrize(
    ("sources_", "sinks_", "fact"),
    [
        (["telegramm"], [], "there is no source of type telegramm; did you mean telegram?"),
        ([], ["bulmq"], "there is no sink of type bulmq; did you mean bullmq?"),
    ],
)
def test_file_for_an_unknown_type_is_rejected(sources_: list[str], sinks_: list[str], fact: str) -> None:
    with pytest.raises(UsageError) as problem:
        render_starter(sources_, sinks_)
    assert problem.value.fact == fact
    assert "use " in problem.value.next


def test_an_example_is_a_comment_and_a_section() -> None:
    example = Example("A title", "x", {"type": "stdout", "timeout_ms": 5})
    assert render_toml_section(f"sinks.{example.name}", example.settings) == (
        '[sinks.x]\ntype = "stdout"\ntimeout_ms = 5'
    )
    assert render_toml_value({"a b": [1, {"c": "d"}]}) == '{ "a b" = [1, { c = "d" }] }'


def test_no_document_names_a_path_of_the_machine_that_wrote_it() -> None:
    paths = {str(EXAMPLE.parent), sys.prefix, sys.executable, str(Path.home())} - {"/", "/root"}
    assert [path for path, text in DOCUMENTS.items() if any(place in text for place in paths)] == []
