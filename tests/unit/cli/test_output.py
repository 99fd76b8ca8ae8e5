"""What is printed value by value is whole, however it ends."""

from __future__ import annotations

import json

import pytest

from rfctl.cli.output import growing


def print_two_and_fail(*, pretty: bool) -> None:
    with growing("dropped", pretty=pretty) as add:
        add({"text": "a\nb"})
        add(2)
        raise ConnectionError


def fail_at_once(*, pretty: bool) -> None:
    with growing("dropped", pretty=pretty):
        raise ConnectionError


@pytest.mark.parametrize(("pretty", "lines"), [(True, 8), (False, 1)])
def test_what_was_printed_before_a_failure_is_whole_json(
    capsys: pytest.CaptureFixture[str], pretty: bool, lines: int
) -> None:
    with pytest.raises(ConnectionError):
        print_two_and_fail(pretty=pretty)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"dropped": [{"text": "a\nb"}, 2]}
    assert printed.count("\n") == lines


@pytest.mark.parametrize("pretty", [True, False])
def test_a_failure_before_the_first_value_prints_nothing(
    capsys: pytest.CaptureFixture[str], pretty: bool
) -> None:
    with pytest.raises(ConnectionError):
        fail_at_once(pretty=pretty)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("pretty", [True, False])
def test_no_value_at_all_is_an_empty_array(capsys: pytest.CaptureFixture[str], pretty: bool) -> None:
    with growing("dropped", pretty=pretty):
        pass
    assert json.loads(capsys.readouterr().out) == {"dropped": []}
