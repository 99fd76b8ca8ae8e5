"""Errors of an address that the listener cannot have: whether a retry may help, and what to look at."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rfctl.daemon.listener import bind_socket, format_url, remove_file
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


def test_unix_socket_has_its_mode_and_its_name_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with bind_socket(f"unix:{path}", 0, mode=0o600) as listening:
        assert path.stat().st_mode & 0o777 == 0o600
        assert format_url(listening) == f"unix:{path}"
        remove_file(listening)
    assert not path.exists()


def test_socket_of_a_dead_daemon_is_replaced_and_that_of_a_living_daemon_is_not(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    bind_socket(f"unix:{path}", 0).close()
    assert path.exists()
    with bind_socket(f"unix:{path}", 0):
        with pytest.raises(CannotListenNowError, match="somebody answers there") as problem:
            bind_socket(f"unix:{path}", 0)
        assert path.exists()
    assert "ss -lxp" in problem.value.next


def test_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("kept")
    with pytest.raises(ListenError, match="is no socket"):
        bind_socket(f"unix:{path}", 0)
    assert path.read_text() == "kept"


def test_unix_socket_in_a_missing_folder_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ListenError) as problem:
        bind_socket(f"unix:{tmp_path}/none/http.sock", 0)
    assert (problem.value.exit_status, "RuntimeDirectory" in problem.value.next) == (78, True)
