"""`rfctl export`: the files for other programs are those of this version."""

from __future__ import annotations

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
