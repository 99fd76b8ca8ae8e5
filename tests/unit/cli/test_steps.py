"""A long command that fails says how far it came; and what is due in the past is overdue."""

from __future__ import annotations

import pytest

from rfctl.cli.output import Output
from rfctl.cli.steps import Steps, counting
from rfctl.errors import RedisUnreachableError
from rfctl.observe.person.words import dues


def run_and_fail(count: int) -> None:
    steps = Steps("batch", "discarded")
    with counting(Output(), steps):
        steps.add(count)
        raise RedisUnreachableError("Redis is away", next="start it")


def fail_after(count: int) -> RedisUnreachableError:
    with pytest.raises(RedisUnreachableError) as failure:
        run_and_fail(count)
    return failure.value


def test_failure_in_the_middle_says_how_far_the_command_came() -> None:
    problem = fail_after(3)
    assert problem.fact == "Redis is away (before that: 3 batches discarded)"
    assert problem.next == "start it; then run it again: it goes on with the rest"
    assert problem.exit_status == 69


def test_failure_at_the_first_step_stays_as_it_is() -> None:
    problem = fail_after(0)
    assert (problem.fact, problem.next) == ("Redis is away", "start it")


@pytest.mark.parametrize(("in_ms", "words"), [(4200, "in 4.2 s"), (0, "in 0 ms"), (-9900, "9.9 s overdue")])
def test_what_is_past_its_time_is_overdue(in_ms: int, words: str) -> None:
    assert dues(in_ms) == words
