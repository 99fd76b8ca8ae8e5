"""What becomes of an error of Redis: the right name, and so the right exit status and answer."""

from __future__ import annotations

import pytest
import redis.exceptions as rx

from rfctl.errors import (
    GroupMissingError,
    RedisCannotNowError,
    ReplyError,
    RfctlError,
    RightsMissingError,
)
from rfctl.store.address import RedisAddress
from rfctl.store.reply_errors import explain_failure

ADDRESS = RedisAddress("redis://127.0.0.1:1/0", "the test")
IN_A_SCRIPT = "Error running script (call to f_d0197): @user_script:203: @user_script: 203: -"


@pytest.mark.parametrize(
    ("message", "error_class"),
    [
        (f"{IN_A_SCRIPT}OOM command not allowed when used memory > 'maxmemory'.", RedisCannotNowError),
        (f"{IN_A_SCRIPT}READONLY You can't write against a read only replica.", RedisCannotNowError),
        (f"{IN_A_SCRIPT}NOPERM this user has no permissions", RightsMissingError),
        ("OOM command not allowed", RedisCannotNowError),
        ("ERR something - ELSE", ReplyError),
        (f"{IN_A_SCRIPT}NOGROUP No such key 'rfctl:out' or consumer group", GroupMissingError),
        ("NOGROUP No such key 'rfctl:out' or consumer group", GroupMissingError),
    ],
)
def test_error_inside_a_script_of_redis_6_keeps_its_name(message: str, error_class: type[RfctlError]) -> None:
    assert type(explain_failure(rx.ResponseError(message), ADDRESS)) is error_class


def test_error_without_condition_of_its_own_keeps_its_code() -> None:
    error = explain_failure(rx.ResponseError("BUSYGROUP Consumer Group name already exists"), ADDRESS)
    assert isinstance(error, ReplyError)
    assert error.code == "BUSYGROUP"
    assert "BUSYGROUP" in error.fact
