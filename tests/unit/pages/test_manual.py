"""The manual is held to the code: every command, option, setting, status and key is in it, and it is clean."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import rfctl
from rfctl.cli.app import load_all_commands
from rfctl.config.options import list_options
from rfctl.daemon.readiness import list_reasons
from rfctl.errors import EXIT_STATUSES
from rfctl.observe.finding import Code
from rfctl.sources.registry import SPECS as SOURCES
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.rights import build_rights
from tests.support.documents import default_of
from tests.support.keys import COMMON

MAN = Path(__file__).parents[3] / "man"
LUA = Path(rfctl.__file__).parent / "store" / "lua" / "shared"
PAGES = sorted(MAN.iterdir())


def text(name: str) -> str:
    return (MAN / name).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_clean(page: Path) -> None:
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("needs mandoc (Debian's mandoc)")
    lint = subprocess.run(
        [mandoc, "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False
    )
    assert lint.stdout + lint.stderr == ""


def test_there_are_three_pages() -> None:
    assert [page.name for page in PAGES] == ["rfctl.1", "rfctl.7", "rfctl.toml.5"]


def settings_of(page: str) -> dict[str, str]:
    """Return the entry of each setting, by its dotted name: those of the first list in each section."""
    entries = {}
    for section, rest in re.findall(r"(?ms)^\.Sh \[([^]]+)\]\n(.*?)(?=^\.Sh )", page):
        listed = rest.partition("\n.El\n")[0]
        for name, entry in re.findall(r"(?ms)^\.It (\w+)\n(.*?)(?=^\.It |\Z)", listed):
            entries[f"{section}.{name}"] = entry
    return entries


def test_every_setting_stands_there_with_its_default_types_and_meaning() -> None:
    entries = settings_of(text("rfctl.toml.5"))
    assert list(entries) == [option.name for option in list_options()], (
        "all of them, in their order, and none that is no more"
    )
    for option in list_options():
        entry = entries[option.name]
        assert option.about in entry.replace("\n", " "), option.name
        assert f"\nType: {option.kind}.\n" in entry, option.name
        assert f"\nDefault: {default_of(option)}." in entry, option.name
        assert re.findall(r"(?m)^For: (.*)\.$", entry) == ([", ".join(option.only)] if option.only else []), (
            option.name
        )


def test_every_source_is_told_where_its_secret_goes() -> None:
    part = text("rfctl.toml.5").partition(".Ss Which secret goes where\n")[2].partition("\n.El\n")[0]
    assert re.findall(r"(?m)^\.It (\S+)$", part) == list(SOURCES)


def parameters(name: str, command: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                yield name, option
    for sub, inner in getattr(command, "commands", {}).items():
        yield from parameters(f"{name} {sub}", inner)


def entry_of(page: str, command: str) -> str:
    """Return what the page says of one command."""
    entries = re.search(rf"(?ms)^\.It Cm {command}\b(.*?)(?=^\.It |^\.El$)", page)
    return entries[0] if entries else ""


def test_every_command_and_option_stands_there() -> None:
    page = text("rfctl.1").replace("\\-", "-")
    group: Any = load_all_commands()
    for name, command in group.commands.items():
        entry = entry_of(page, name)
        assert entry, name
        for sub in getattr(command, "commands", {}):
            assert re.search(rf"\b{sub}\b", entry), f"{name} {sub}"
        for where, option in parameters(name, command):
            assert re.search(rf"Fl -{option[2:]}\b", entry), f"{where} {option}"


def test_every_exit_status_stands_there() -> None:
    page = text("rfctl.1")
    for number, meaning in EXIT_STATUSES.items():
        assert f".It {number}\n{meaning}\n" in page


def test_every_key_stands_there() -> None:
    page = text("rfctl.7")
    shard = ShardKeys("", "rfctl:out")
    sink = shard.sink("NAME")
    for key in (
        shard.due, shard.out, shard.totals, shard.last_times, shard.ids, shard.phones, shard.set_aside, shard.clock, shard.batch_prefix, shard.last_prefix, shard.dead,
        sink.waiting, sink.retry, sink.attempts, sink.bodies, sink.lease,
        COMMON.daemons, COMMON.layout, COMMON.server_run, COMMON.quarantine, COMMON.paused, COMMON.events_channel(0)[:-1],
        COMMON.sweep, COMMON.sweep_lease,
    ):  # fmt: skip
        assert f".It {key}" in page, key


def test_every_reason_stands_there() -> None:
    listed = text("rfctl.7").partition(".Ss Reasons\n")[2].partition(".El")[0]
    reasons = {"quiet", "max-wait", "flush", "shutdown", "size", "bypass", "company", "source", "empty"}
    reasons |= {"released", "closed"}
    assert set(re.findall(r"(?m)^\.It (\S+)$", listed)) == reasons


def test_every_word_why_a_daemon_is_not_ready_stands_there() -> None:
    listed = text("rfctl.7").partition(".Ss Why a daemon is not ready\n")[2].partition(".El")[0]
    words = [word for line in re.findall(r"(?m)^\.It (.+)$", listed) for word in line.split(" , ")]
    assert sorted(words) == sorted(list_reasons())


def test_every_finding_stands_there_with_its_severity() -> None:
    listed = text("rfctl.7").partition(".Ss Findings\n")[2].partition(".El")[0]
    entries = dict(re.findall(r"(?m)^\.It (\S+) Pq (\S+)$", listed))
    assert set(entries) == set(get_args(Code))
    assert made_findings() == entries.items(), "the rules say something else than the manual"


def made_findings() -> set[tuple[str, str]]:
    """Return code and severity of each finding that a rule makes."""
    return {
        (argument(call, 0), argument(call, 1))
        for path in (Path(rfctl.__file__).parent / "observe").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding"
    }


def argument(call: ast.Call, place: int) -> str:
    return str(ast.literal_eval(call.args[place]))


def test_every_field_of_a_merged_message_stands_there() -> None:
    script = (LUA / "batch.lua").read_text()
    added = script.partition("'XADD', OUT, '*',")[2].partition("count('merged'")[0]
    entry = text("rfctl.7").partition(".It rfctl:out\n")[2].partition("\n.It ")[0]
    fields = re.findall(r"'([a-z_]{4,})',", added)
    assert {"phone", "text", "messages"} < set(fields)
    for field in fields:
        assert re.search(rf"\b{field}\b", entry), field


def test_line_of_rights_is_the_one_that_is_printed() -> None:
    printed = build_rights(Keyspace(), 0).grant("rfctl")
    part = text("rfctl.7").partition(".Ss Rights in Redis\n")[2]
    shown = part.partition(".Bd -literal -offset 2n\n")[2].partition(".Ed\n")[0]
    assert " ".join(shown.replace("\\-", "-").split()) == printed, "python -m tests.support.documents --write"
