"""Errors of an address that the listener cannot have: whether a retry may help, and what to look at."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from rfctl.daemon.listener import bind_socket
from rfctl.errors import CannotListenNowError, ListenError

UNUSED_ADDRESS = "203.0.113.7"
"""An address for documentation, which no host has."""


def test_taken_port_may_be_retried_and_the_next_step_shows_its_owner() -> None:
    with bind_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenNowError, match=f"cannot listen on 127.0.0.1:{port}") as problem:
            bind_socket("127.0.0.1", port)
    assert problem.value.exit_status == 75
    assert f"`ss -ltnp 'sport = :{port}'`" in problem.value.next


def test_address_that_no_interface_has_may_be_retried() -> None:
    with pytest.raises(CannotListenNowError) as problem:
        bind_socket(UNUSED_ADDRESS, 0)
    assert problem.value.exit_status == 75
    assert "ip address" in problem.value.next


@pytest.mark.parametrize("host", ["127.0.0.1:80", "999.1.1.1", "x" * 64 + ".example", "a..b"])
def test_invalid_address_is_an_error_of_the_settings(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _without_a_network(socket.getaddrinfo))
    with pytest.raises(ListenError) as problem:
        bind_socket(host, 0)
    assert (problem.value.exit_status, "http.host" in problem.value.next) == (78, True)


def _without_a_network(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve numeric addresses only: no test asks a name server."""

    def getaddrinfo(host: str, port: int, *, flags: int, **options: Any) -> Any:
        return resolve(host, port, flags=flags | socket.AI_NUMERICHOST, **options)

    return getaddrinfo


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (OSError(errno.EACCES, "Permission denied"), 78),
        (OSError(errno.EINVAL, "Invalid argument"), 78),
        (OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol"), 78),
        (OSError(errno.EMFILE, "Too many open files"), 75),
    ],
)
def test_permanent_failure_is_an_error_of_the_settings(
    raised: OSError, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError) as problem:
        bind_socket("127.0.0.1", 80)
    assert problem.value.exit_status == status
    assert problem.value.next


def test_unreachable_name_server_may_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(CannotListenNowError):
        bind_socket("bot.example", 80)
