"""What is printed value by value is whole, however it ends."""

from __future__ import annotations

import io
import json
import sys

import pytest

from rfctl.cli.app import _print_bug
from rfctl.cli.output import Output, print_error
from rfctl.errors import RfctlError, SettingsError
from rfctl.model.installation import build_extra_command


def print_two_and_fail(*, pretty: bool) -> None:
    with Output(pretty=pretty).open_array("dropped") as add:
        add({"text": "a\nb"})
        add(2)
        raise ConnectionError


def fail_at_once(*, pretty: bool) -> None:
    with Output(pretty=pretty).open_array("dropped"):
        raise ConnectionError


@pytest.mark.parametrize(("pretty", "lines"), [(True, 8), (False, 1)])
def test_array_that_fails_in_the_middle_is_whole_json(
    capsys: pytest.CaptureFixture[str], pretty: bool, lines: int
) -> None:
    with pytest.raises(ConnectionError):
        print_two_and_fail(pretty=pretty)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"dropped": [{"text": "a\nb"}, 2]}
    assert printed.count("\n") == lines


@pytest.mark.parametrize("pretty", [True, False])
def test_array_that_fails_before_its_first_value_prints_nothing(
    capsys: pytest.CaptureFixture[str], pretty: bool
) -> None:
    with pytest.raises(ConnectionError):
        fail_at_once(pretty=pretty)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("pretty", [True, False])
def test_array_without_values_is_empty(capsys: pytest.CaptureFixture[str], pretty: bool) -> None:
    with Output(pretty=pretty).open_array("dropped"):
        pass
    assert json.loads(capsys.readouterr().out) == {"dropped": []}


NASTY = "\x9b0m\u202eabc\U000e0041\u200b\x7f"


@pytest.mark.parametrize("pretty", [True, False])
def test_json_on_a_terminal_is_escaped_and_in_a_pipe_is_as_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pretty: bool
) -> None:
    output = Output(pretty=pretty)
    output.json({"text": NASTY})
    piped = capsys.readouterr().out
    assert NASTY in piped
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.json({"text": NASTY})
    shown = capsys.readouterr().out
    assert json.loads(shown) == json.loads(piped) == {"text": NASTY}
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()


def test_error_shows_no_password_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(SettingsError([f"redis.url: redis://:ge/heim@h {NASTY}"], next="at redis://h:geheim"))
    shown = capsys.readouterr().err
    assert "heim" not in shown.replace("next", "")
    assert not set(NASTY) - set("abc0m") & set(shown)


def test_traceback_and_bug_show_no_password_and_no_control_character(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problem = ValueError(f"redis://:ge/heim@h {NASTY}")
    for debug in (True, False):
        _print_bug(problem, debug=debug)
    shown = capsys.readouterr().err
    assert "heim" not in shown
    assert not set(NASTY) - set("abc0m") & set(shown)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_lines_errors_and_notes_are_wrapped_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("TERM", "dumb")  # no colours, and 80 columns
    fact = "the quarantine of redis://127.0.0.1:6379/0 was too long for a look" + ", and more" * 9
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream := io.StringIO())
        monkeypatch.setattr(stream, "isatty", lambda: is_terminal, raising=False)
    Output().text(fact)
    Output().note(fact)
    print_error(RfctlError(fact, set_by=fact))
    for written, times in ((sys.stdout, 1), (sys.stderr, 3)):
        lines = written.getvalue().splitlines()  # type: ignore[union-attr]
        text = " ".join(lines).replace("rfctl: ", "").replace("set by: ", "")
        assert text.split() == fact.split() * times
        assert all(len(line) <= 80 for line in lines) is is_terminal


@pytest.mark.parametrize(
    "command", [build_extra_command("top"), "pip --python '/srv/my bots/python' install x"]
)
def test_command_that_installs_stays_on_one_line(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    command += " of-a-long-name" * 9
    print_error(SettingsError([f"it is not there; `{command}`"], next=command))
    assert [text for text in stream.getvalue().splitlines() if command in text] == [
        f"  `{command}`",
        f"  next: {command}",
    ]
