"""`rfctl export`: the files for other programs are those of this version."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rfctl.cli.app import app

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize(
    ("what", "file"), [("unit", "rfctl.service"), ("alerts", "alerts.yml"), ("dashboard", "grafana.json")]
)
def test_file_is_printed_as_it_is(what: str, file: str) -> None:
    done = CliRunner().invoke(app, ["export", what])
    assert (done.exit_code, done.stdout) == (0, (DEPLOY / file).read_text())


def test_every_file_that_is_printed_travels_with_the_package() -> None:
    page = (DEPLOY.parent / "pyproject.toml").read_text()
    table = page.partition("[tool.hatch.build.targets.wheel.force-include]\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [
        f'"deploy/{file}" = "rfctl/data/{file}"' for file in ("rfctl.service", "alerts.yml", "grafana.json")
    ]
