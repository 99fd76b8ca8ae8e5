"""What the listener says when it cannot have its address: whether trying again may help, and what to look at."""

from __future__ import annotations

import errno
import socket

import pytest

from rfctl.daemon.http_server import bind
from rfctl.errors import CannotListenNowError, ListenError

NOBODYS = "203.0.113.7"
"""An address for documents, which no host has."""


def test_a_port_that_is_taken_may_be_free_later_and_the_next_step_shows_who_has_it():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenNowError, match=f"cannot listen on 127.0.0.1:{port}") as problem:
            bind("127.0.0.1", port)
    assert problem.value.exit_status == 75
    assert f"`ss -ltnp 'sport = :{port}'`" in problem.value.next


def test_an_address_that_no_interface_has_yet_may_come_later():
    with pytest.raises(CannotListenNowError) as problem:
        bind(NOBODYS, 0)
    assert problem.value.exit_status == 75
    assert "ip address" in problem.value.next


@pytest.mark.parametrize("host", ["127.0.0.1:80", "999.1.1.1", "x" * 64 + ".example", "a..b"])
def test_what_can_be_no_address_stays_wrong(host: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "getaddrinfo", _without_a_network(socket.getaddrinfo))
    with pytest.raises(ListenError) as problem:
        bind(host, 0)
    assert (problem.value.exit_status, "http.host" in problem.value.next) == (78, True)


def _without_a_network(really):
    """Ask for numbers only: no test asks a name server."""

    def getaddrinfo(host, port, **more):
        return really(host, port, **{**more, "flags": more["flags"] | socket.AI_NUMERICHOST})

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
def test_only_what_will_not_change_by_itself_counts_as_wrong_settings(
    raised: OSError, status: int, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_):
        raise raised

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError) as problem:
        bind("127.0.0.1", 80)
    assert problem.value.exit_status == status
    assert problem.value.next


def test_a_name_server_that_is_not_there_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    def away(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    with pytest.raises(CannotListenNowError):
        bind("bot.example", 80)
