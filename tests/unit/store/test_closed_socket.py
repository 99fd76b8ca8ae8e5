"""A RuntimeError is a closed socket only where uvloop says so."""

from __future__ import annotations

import pytest
from redis import exceptions as rx

from rfctl.store.reply_errors import as_redis_error


def test_write_to_a_socket_that_uvloop_has_closed_is_a_lost_connection() -> None:
    problem = RuntimeError(
        "unable to perform operation on <TCPTransport closed=True reading=False 0x1>; the handler is closed"
    )
    assert isinstance(as_redis_error(problem), rx.ConnectionError)


def test_bug_is_raised_again() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        as_redis_error(RuntimeError("a bug"))


def test_other_failures_stay_as_they_are() -> None:
    problem = OSError("no")
    assert as_redis_error(problem) is problem
