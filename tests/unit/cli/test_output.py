"""What is printed value by value is whole, however it ends."""

from __future__ import annotations

import json

import pytest

from rfctl.cli.output import Output


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
