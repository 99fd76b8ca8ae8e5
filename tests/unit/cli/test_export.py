"""`rfctl export`: the files for other programs are those of this version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from rfctl.assembly.packaged import PackagedFile, read_packaged
from rfctl.cli.app import app

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("unit", "deploy/rfctl.service"),
        ("alerts", "deploy/alerts.yml"),
        ("grafana", "deploy/grafana.json"),
        ("dashboard", "deploy/grafana.json"),
        ("completion bash", "completions/rfctl.bash"),
        ("completion zsh", "completions/_rfctl"),
        ("completion fish", "completions/rfctl.fish"),
        ("man", "man/rfctl.1"),
        ("man 1", "man/rfctl.1"),
        ("man 5", "man/rfctl.toml.5"),
        ("man 7", "man/rfctl.7"),
    ],
)
def test_file_is_printed_as_it_is(what: str, file: str) -> None:
    done = CliRunner().invoke(app, ["export", *what.split()])
    assert (done.exit_code, done.stdout) == (0, (ROOT / file).read_text())


@pytest.mark.parametrize("unit", ["service", "socket"])
def test_template_differs_from_its_unit_only_by_the_name(unit: str) -> None:
    """And by the address of its socket, which knows no port. The file of an instance has no specifier in it."""
    plain, template = read_packaged(f"rfctl.{unit}"), read_packaged(f"rfctl@.{unit}")  # type: ignore[arg-type]
    own = {"ListenStream", "RemoveOnStop", "ExecStart", "Description"}
    for instance in ("/%i", "-%i", "@%i"):
        template = template.replace(instance, "")
    assert list_directives(plain, own) == list_directives(template, own)


def list_directives(text: str, own: set[str]) -> list[str]:
    """Return the lines that set something, also those that an operator may switch on; without `own` names."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return [line for line in lines if re.match(r"\w+=", line) and line.partition("=")[0] not in own]


@pytest.mark.parametrize("unit", ["rfctl@.service", "rfctl@.socket"])
def test_words_of_a_template_name_an_instance(unit: PackagedFile) -> None:
    """systemd expands nothing in a comment: a person would look for a folder of the name %i."""
    words = [line for line in read_packaged(unit).splitlines() if re.match(r"# (?!\w+=)", line)]
    assert not [line for line in words if "%" in line]


@pytest.mark.parametrize("what", ["completion", "completion tcsh", "man 8"])
def test_a_file_that_there_is_not_is_a_wrong_command_line(what: str) -> None:
    assert CliRunner().invoke(app, ["export", *what.split()]).exit_code == 2


def test_every_file_that_is_printed_travels_with_the_package() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    travelling = targets["wheel"]["force-include"]
    names = {inside.removeprefix("rfctl/data/") for inside in travelling.values()}
    assert names == set(get_args(PackagedFile))
    for place, inside in travelling.items():
        assert place.endswith(name := inside.removeprefix("rfctl/data/"))
        assert read_packaged(name) == (ROOT / place).read_text()
