"""The manual is held to the code: every command, option, setting, status and key is in it, and it is clean."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from rfctl.cli.app import app
from rfctl.errors import EXIT_STATUSES
from rfctl.keys import DAEMONS, SHARDS, Partition
from rfctl.settings import options

MAN = Path(__file__).parents[2] / "man"
PAGES = sorted(MAN.iterdir())


def text(name: str) -> str:
    return (MAN / name).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_clean(page: Path):
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("needs mandoc (Debian's mandoc)")
    lint = subprocess.run(
        [mandoc, "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False
    )
    assert lint.stdout + lint.stderr == ""


def test_there_are_three_pages():
    assert [page.name for page in PAGES] == ["rfctl.1", "rfctl.7", "rfctl.toml.5"]


def test_every_setting_stands_there_with_its_default_and_meaning():
    page = text("rfctl.toml.5")
    for one in options():
        section, _, name = one.name.rpartition(".")
        entry = page.partition(f".Sh [{section}]\n")[2].partition(f".It {name}\n")[2].partition("\n.It ")[0]
        default = json.dumps(one.default) if one.default != "" else "empty"
        assert f"Type: {one.kind}." in entry, one.name
        assert f"Default: {default}." in entry, one.name
        assert one.about in entry.replace("\n", " "), one.name
    assert len(re.findall(r"(?m)^\.It ", page)) == len(list(options())), "no setting that is no more"


def test_every_command_and_option_stands_there():
    page = text("rfctl.1").replace("\\-", "-")
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert f"Cm {name}" in page or f"\n.Cm {name}" in page, name
        for sub in getattr(command, "commands", {}):
            assert re.search(rf"\b{sub}\b", page), f"{name} {sub}"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert f"Fl -{option[2:]}" in page, f"{name} {option}"


def test_every_exit_status_stands_there():
    page = text("rfctl.1")
    for number, meaning in EXIT_STATUSES.items():
        assert f".It {number}\n{meaning}\n" in page


def test_every_key_stands_there():
    page = text("rfctl.7")
    shard = Partition("", "rfctl:out")
    for key in (
        shard.due,
        shard.out,
        shard.totals,
        shard.seen_prefix,
        shard.batch_prefix,
        shard.last_prefix,
        DAEMONS,
        SHARDS,
    ):
        assert key in page
