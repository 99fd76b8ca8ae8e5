"""Whatever the example file shows can be taken over as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.sinks import build_target, forwarded_sinks
from rfctl.assembly.sources import build_sources
from rfctl.config.example import READY, example, written
from rfctl.config.loader import Environment, load
from rfctl.config.options import Option, options
from rfctl.config.settings import Settings

FILE = Path(__file__).parents[3] / "config.example.toml"
COMMENTED_OUT = re.compile(r"(?m)^#   (.*)$")
TYPES = {
    "sources": {"whatsapp-cloud", "twilio", "telegram", "evolution", "waha", "green-api", "generic"},
    "sinks": {"bullmq", "http", "list", "stream", "celery", "rq", "command", "stdout"},
}


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "etc.toml").write_text(text)
    return load(Environment({"HOME": str(tmp_path)}, tmp_path / "etc.toml")).settings


def ready() -> list[str]:
    """Return the configurations that are ready to use, each without its `#`."""
    blocks = [block for text in READY.values() for block in re.split(r"(?m)^#$", text)]
    found = ["\n".join(COMMENTED_OUT.findall(block)) for block in blocks]
    return [text for text in found if text]


def named() -> list[Option]:
    return [one for one in options() if ".NAME." in one.name]


def base(section: str, kind: str) -> dict[str, Any]:
    """Return a section of this type that is ready to use."""
    tables = [table for text in ready() for table in tomllib.loads(text).get(section, {}).values()]
    return dict([table for table in tables if not kind or table.get("type") == kind][-1])


def shown_value(one: Option) -> Any:
    """Return the value that the file shows for a setting of a named section."""
    section, _, name = one.name.partition(".NAME.")
    block = FILE.read_text().partition(f"\n# [{section}.NAME]\n")[2].partition("\n\n")[0]
    [line] = re.findall(rf"(?m)^#   ({name} = .*)$", block)
    return tomllib.loads(line)[name]


def test_the_file_is_what_the_code_says_and_changes_nothing(tmp_path: Path):
    text = FILE.read_text()
    assert text == example()
    uncommented = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)
    assert tomllib.loads(uncommented)["batching"]["quiet_ms"] == 5000
    defaults = load(Environment({"HOME": "/nonexistent"}, tmp_path / "x")).settings
    assert settings(tmp_path, text) == settings(tmp_path, uncommented) == defaults


@pytest.mark.parametrize("text", ready(), ids=lambda text: text.partition("\n")[0])
def test_a_ready_configuration_works_as_it_stands(tmp_path: Path, text: str):
    found = settings(tmp_path, text)
    assert len(text.splitlines()) <= 6
    assert len(build_sources(found)) == 1
    assert all(
        build_target(name, one, redis_url="redis://h/0") for name, one in forwarded_sinks(found).items()
    )
    assert len(found.sources) + len(found.rules) + len(found.sinks) == 1


def test_every_type_has_a_ready_configuration(tmp_path: Path):
    drain_reason = settings(tmp_path, "\n".join(ready()))
    assert {one.type for one in drain_reason.sources.values()} == TYPES["sources"]
    assert {one.type for one in drain_reason.sinks.values()} == TYPES["sinks"]


@pytest.mark.parametrize("one", named(), ids=lambda one: one.name)
def test_each_setting_is_shown_with_a_value_that_each_of_its_types_takes(tmp_path: Path, one: Option):
    section, _, name = one.name.partition(".NAME.")
    for kind in one.only or ("",):
        table = {**base(section, kind), name: shown_value(one)}
        if name == "type":
            table = base(section, shown_value(one))
        lines = "\n".join(f"{key} = {written(value)}" for key, value in table.items())
        assert getattr(settings(tmp_path, f"[{section}.x]\n{lines}\n"), section)["x"]


def test_a_setting_that_is_empty_says_so_beside_the_value_that_is_shown():
    for one in named():
        shown = shown_value(one)
        says = one.default is None or not (one.default or shown == one.default)
        line = FILE.read_text().partition(f"\n# {one.about} (")[2].partition("\n")[0]
        assert says == any(word in line for word in ("needed)", "unset by default)", "empty by default)")), (
            one.name
        )
