"""A Redis that is there and cannot serve a call now: every cause has its own next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis.exceptions as rx
from redis._parsers.base import BaseParser

from rfctl.errors import TEMPORARY, OverloadedError, RedisCannotNowError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store.address import RedisAddress
from rfctl.store.reply_errors import CANNOT_NOW, explain_failure

TLS = RedisAddress("rediss://me:topsecret@h:1/0", "the test")
ADDRESS = RedisAddress("redis://127.0.0.1:1/0", "the test")
ANSWERS = {
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "MISCONF": "MISCONF Errors writing to the AOF file: No space left on device",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED": "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
}
LEADS_TO = {
    "LOADING": "wait", "OOM": "redis-cli info memory", "READONLY": "point redis.url at its master",
    "MISCONF": "disk", "BUSY": "redis-cli script kill", "NOREPLICAS": "start its replicas",
    "MASTERDOWN": "master", "CLUSTERDOWN": "redis-cli cluster info", "TRYAGAIN": "cluster",
    "UNBLOCKED": "redis-cli info replication",
}  # fmt: skip


@pytest.mark.parametrize("read", [BaseParser.parse_error, rx.ResponseError])
@pytest.mark.parametrize("code", ANSWERS)
def test_each_cause_has_the_next_step_that_fits_it(code: str, read: Callable[[str], Exception]) -> None:
    """As redis-py reads the answer, which takes the first word out of some, and as it is."""
    named = explain_failure(read(ANSWERS[code]), ADDRESS)
    assert isinstance(named, RedisCannotNowError)
    assert named.exit_status == TEMPORARY
    assert LEADS_TO[code] in named.next


def test_every_cause_of_refused_writes_is_listed() -> None:
    assert set(CANNOT_NOW) == set(ANSWERS) == set(LEADS_TO)


async def test_an_overloaded_daemon_says_what_to_look_at() -> None:
    async def store(_: Any) -> list[Added]:
        raise AssertionError

    with pytest.raises(OverloadedError) as problem:
        await GroupCommit(store, Bounds(pending=0)).add(
            [Message(phone="a", text="x", id="1", channel="generic")]
        )
    assert "rfctl stats" in problem.value.next


@pytest.mark.parametrize(
    ("message", "fact", "step"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed",
            "unknown authority",
            "redis.tls_ca",
        ),
        (
            "CERTIFICATE_VERIFY_FAILED] … Hostname mismatch, certificate is not valid for 'h'",
            "another name",
            "host",
        ),
        (
            "CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired",
            "not valid today",
            "clock",
        ),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert", "asks for a certificate", "redis.tls_cert"),
        (
            "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca",
            "not accept our certificate",
            "redis.tls_key",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "speaks no TLS", "write redis://"),
        ("Connection lost.", "closed the connection", "redis.tls_cert"),
        ("Connection refused.", "cannot be reached", "start it"),
    ],
)
def test_each_failure_of_tls_is_its_own_sentence(message: str, fact: str, step: str) -> None:
    problem = explain_failure(rx.ConnectionError(f"Error 1 connecting to h:1. {message}"), TLS)
    assert fact in problem.fact
    assert step in problem.next
    assert "topsecret" not in problem.fact


def test_plain_url_is_sent_to_tls_by_what_the_port_answers() -> None:
    for problem in (
        rx.InvalidResponse(r"Protocol Error: b'\x15'"),
        rx.ConnectionError("Error while reading from h:1 : (104, 'Connection reset by peer')"),
    ):
        assert "write rediss://" in explain_failure(problem, ADDRESS).next


def test_what_a_library_says_shows_no_password_of_the_url() -> None:
    problem = explain_failure(rx.ConnectionError(f"cannot parse {TLS.url}, port 'topsecret'"), TLS)
    assert "topsecret" not in problem.fact
