"""`rfctl config`: what is set, in sections with names too, and a first file with every default."""

from __future__ import annotations

import json
import resource
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rfctl.cli.app import app, load_all_commands
from rfctl.errors import CannotWriteError, NothingFoundError, SettingsError, UsageError

SALON = '[sources.salon]\ntype = "telegram"\n'


def run(tmp_path: Path, text: str, *command: str, output: str = "json") -> Result:
    (tmp_path / "settings.toml").write_text(text)
    line = ["-o", output, "--config", str(tmp_path / "settings.toml"), "config", *command]
    return CliRunner().invoke(app, line)


def test_show_lists_the_settings_of_each_named_section_that_its_type_reads(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, SALON + 'secrets = ["hush"]\n', "show").stdout)
    rows = {row["name"]: row for row in report}
    assert rows["sources.salon.secrets"]["value"] == ["•••"]
    assert rows["sources.salon.quiet_ms"]["value"] is None
    assert "sources.salon.verify_token" not in rows
    assert not [name for name in rows if ".NAME." in name]
    assert "(unset)" in run(tmp_path, SALON, "show", output="table").stdout


def test_changed_settings_are_those_that_nobody_would_have_without_setting_them(tmp_path: Path) -> None:
    text = SALON + "[batching]\nquiet_ms = 7000\nmax_size = 10\n"
    rows = json.loads(run(tmp_path, text, "show", "--changed").stdout)
    shown = {
        row["name"]: row["value"] for row in rows if row["name"].startswith(("batching.", "sources.salon."))
    }
    assert shown == {"batching.quiet_ms": 7000, "sources.salon.type": "telegram"}
    assert len(rows) < 5
    with pytest.raises(UsageError, match="--changed"):
        raise run(tmp_path, text, "show", "--changed", output="toml").exception or AssertionError


@pytest.mark.parametrize(
    ("key", "value", "set_by"),
    [
        ("sources.salon.quiet_ms", None, "default"),
        ("sources.salon.type", "telegram", "settings.toml:2"),
        ("sources.other.quiet_ms", None, "nobody: there is no [sources.other]"),
        ("sources.NAME.quiet_ms", None, "nobody: there is no [sources.NAME]"),
        ("sinks.crm.url", "https://h/?token=•••", "settings.toml:5"),
        ("sinks.crm.headers", {"x": "•••"}, "settings.toml:6"),
        ("rules.x.action", None, "nobody: there is no [rules.x]"),
        ("batching.quiet_ms", 5000, "default"),
    ],
)
def test_explain_knows_named_settings_whether_configured_or_not(
    tmp_path: Path, key: str, value: object, set_by: str
) -> None:
    text = SALON + '[sinks.crm]\ntype = "http"\nurl = "https://h/?token=hush"\nheaders = { x = "hush" }\n'
    report = json.loads(run(tmp_path, text, "explain", key).stdout)
    assert (report["name"], report["value"]) == (key, value)
    assert report["set_by"].endswith(set_by)
    assert "hush" not in run(tmp_path, text, "explain", key, output="table").stdout


def test_explain_names_the_types_that_read_a_setting(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, "", "explain", "sources.salon.verify_token").stdout)
    assert report["for"] == ["whatsapp-cloud", "generic"]


def test_explain_of_what_is_no_setting_names_a_near_one(tmp_path: Path) -> None:
    problem = run(tmp_path, "", "explain", "sources.salon.quit_ms").exception
    assert isinstance(problem, NothingFoundError)
    assert "sources.salon.quiet_ms" in problem.next


def test_show_prints_a_settings_file_of_what_is_in_force(tmp_path: Path) -> None:
    text = run(tmp_path, SALON + 'secrets = ["hush"]\n', "show", output="toml").stdout
    assert tomllib.loads(text)["sources"] == {"salon": {"type": "telegram"}}
    assert "hush" not in text


def test_secrets_are_written_to_a_new_file_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    text = SALON + 'secrets = ["hush"]\n'
    result = run(tmp_path, text, "show", "--secrets", "--to", str(file), output="toml")
    assert result.stdout == f"{file}\n"
    assert tomllib.loads(file.read_text())["sources"]["salon"]["secrets"] == ["hush"]
    assert file.stat().st_mode & 0o777 == 0o600
    problem = run(tmp_path, text, "show", "--secrets", "--to", str(file), output="toml").exception
    assert isinstance(problem, UsageError)
    assert problem.fact == f"{file} is there already"


@pytest.mark.parametrize(
    ("options", "output", "says"),
    [
        (["--secrets"], "toml", "secrets are not printed"),
        (["--secrets"], "json", "--secrets and --to are for a settings file"),
        (["--to", "x"], "table", "--secrets and --to are for a settings file"),
    ],
)
def test_secrets_are_refused_everywhere_else_in_words(
    tmp_path: Path, options: list[str], output: str, says: str
) -> None:
    result = run(tmp_path, SALON + 'secrets = ["hush"]\n', "show", *options, output=output)
    assert isinstance(result.exception, UsageError)
    assert says in result.exception.fact
    assert result.exception.next
    assert "hush" not in result.stdout


def test_toml_is_refused_by_other_commands_in_words(tmp_path: Path) -> None:
    problem = run(tmp_path, SALON, "path", output="toml").exception
    assert isinstance(problem, UsageError)
    assert "rfctl config show" in problem.fact


def test_command_that_cannot_print_toml_is_refused_before_it_opens_the_store() -> None:
    """`discard -o toml` threw the messages away first, and then printed none of them."""
    line = ["-o", "toml", "--redis", "redis://127.0.0.1:1/0", "discard", "79001234567"]
    problem = CliRunner().invoke(app, line).exception
    assert isinstance(problem, UsageError)
    assert "rfctl config show" in problem.fact


def init(target: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(target), "config", "init", *options])


def test_init_writes_a_file_for_just_the_named_types(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    assert init(target, "--source", "telegram", "--sink", "http", "--sink", "list").exit_code == 0
    table = tomllib.loads(target.read_text())
    assert {name: list(inner) for name, inner in table.items()} == {
        "sources": ["telegram"],
        "sinks": ["crm", "queue"],
    }


def test_init_refuses_a_type_that_is_not_there_and_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    problem = init(target, "--source", "telegramm").exception
    assert isinstance(problem, UsageError)
    assert "did you mean telegram?" in problem.fact
    assert not target.exists()


@pytest.mark.parametrize("place", ["a-file/config.toml", "a-file/in/config.toml", "/proc/config.toml"])
def test_unwritable_file_is_named_with_the_next_step(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    problem = init(tmp_path / place).exception
    assert isinstance(problem, CannotWriteError)
    assert problem.exit_status == 73
    assert str(tmp_path / place) in problem.fact
    assert "rfctl config init --stdout" in problem.next


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 bytes, which looks to a program like a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    problem = init(target).exception
    assert isinstance(problem, CannotWriteError)
    assert str(target) in problem.fact
    assert not target.exists(), "a second try would find it there already"


def test_the_file_is_its_users_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "config.toml"
    assert init(target).stdout == f"{target}\n"
    assert target.stat().st_mode & 0o777 == 0o600


READS_SETTINGS = {
    "serve": [], "stats": [], "inspect": ["1"], "tail": [], "flush": ["1"], "pause": ["x"], "resume": ["x"],
    "resend": ["1-0"], "discard": ["1"], "adopt": [], "find": ["1"], "forget": ["1"], "simulate": [], "dead list": [], "dead show": ["1-0"], "dead retry": ["1-0"],
    "dead drop": ["1-0"], "quarantine list": [], "quarantine show": ["1-0"], "quarantine retry": ["1-0"],
    "quarantine drop": ["1-0"], "config show": [], "config explain": ["http.port"], "config check": [],
    "export acl": [], "export openapi": [], "doctor": [], "hold": ["1"], "release": ["1"], "held": [], "source try": ["x"],
}  # fmt: skip
ENDS_AS_NAGIOS_WANTS = {"check"}
NEEDS_A_TERMINAL = {"top"}
READS_NONE = {
    "demo",
    "export unit",
    "export socket",
    "export tmpfiles",
    "export alerts",
    "export grafana",
    "export completion",
    "export man",
    "config init",
    "config path",
}


def commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        elif not command.hidden:
            yield before + name


def test_every_command_is_known_to_read_the_settings_or_not() -> None:
    listed = READS_SETTINGS.keys() | READS_NONE | ENDS_AS_NAGIOS_WANTS | NEEDS_A_TERMINAL
    assert set(commands(load_all_commands())) == listed


@pytest.mark.parametrize("command", READS_SETTINGS)
def test_missing_settings_file_is_the_same_error_for_every_command(tmp_path: Path, command: str) -> None:
    file = tmp_path / "none.toml"
    line = ["--config", str(file), *command.split(), *READS_SETTINGS[command]]
    problem = CliRunner().invoke(app, line).exception
    assert isinstance(problem, SettingsError)
    assert problem.exit_status == 78
    assert problem.problems == [f"{file}: cannot be read: No such file or directory"]


def test_missing_settings_file_is_unknown_for_nagios(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    ended = CliRunner().invoke(app, ["--config", str(file), "check"])
    assert ended.exit_code == 3
    assert ended.stdout.startswith(f"RFCTL UNKNOWN - 1 setting is wrong: {file}: cannot be read")
