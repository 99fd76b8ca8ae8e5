"""The sockets that systemd passes: which are taken, what is refused in words, and what the settings say then."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rfctl.config.loader import Configuration
from rfctl.daemon.listener import format_url, remove_file
from rfctl.daemon.passed_sockets import PassedSockets, take_passed_sockets
from rfctl.daemon.sockets import Sockets
from rfctl.errors import ListenError, SettingsError
from tests.conftest import configure

FIRST = 700
"""So the files begin here in place of 3, which belongs to the test run."""
Pass = Callable[..., dict[str, str]]


def listen(host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    listening = socket.socket(family)
    listening.bind(host if family == socket.AF_UNIX else (host, 0))
    listening.listen()
    return listening


@pytest.fixture
def pass_on() -> Iterator[Pass]:
    """Puts sockets where systemd puts them, and returns the variables that say so."""
    files: list[int] = []

    def pass_on(*sockets: socket.socket, names: str = "", pid: int | None = None) -> dict[str, str]:
        for place, each in enumerate(sockets):
            files.append(os.dup2(each.fileno(), FIRST + place))
            each.close()
        variables = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(len(sockets))}
        return variables | ({"LISTEN_FDNAMES": names} if names else {})

    yield pass_on
    for file in files:
        try:
            os.close(file)
        except OSError:
            continue


def take(variables: dict[str, str]) -> PassedSockets:
    return take_passed_sockets(variables, first=FIRST)


@pytest.fixture
def settings(tmp_path: Path) -> Configuration:
    return configure("redis://127.0.0.1:1/0", tmp_path)


def test_nothing_is_taken_without_variables_or_for_another_process(pass_on: Pass) -> None:
    assert take({}) == PassedSockets()
    assert take(pass_on(listen(), pid=1)) == PassedSockets()


def test_sockets_are_told_apart_by_their_names_and_inherited_by_nobody(pass_on: Pass) -> None:
    webhook, monitor = listen(), listen()
    urls = format_url(webhook), format_url(monitor)
    passed = take(pass_on(monitor, webhook, names="monitor:rfctl.socket"))
    assert passed.webhook is not None
    assert passed.monitor is not None
    assert (format_url(passed.webhook), format_url(passed.monitor)) == urls
    assert passed.unit == "rfctl.socket"
    assert not os.get_inheritable(FIRST)
    assert passed.webhook.gettimeout() == 0
    for each in (passed.webhook, passed.monitor):
        each.close()


def test_socket_without_a_name_is_the_webhooks(pass_on: Pass) -> None:
    passed = take(pass_on(listen()))
    assert (passed.unit, passed.monitor) == ("socket", None)
    passed.webhook.close()  # type: ignore[union-attr]


def test_two_sockets_for_one_use_are_refused_with_both_addresses(pass_on: Pass) -> None:
    webhooks = listen(), listen()
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in webhooks]
    with pytest.raises(ListenError) as problem:
        take(pass_on(*webhooks))
    assert all(address in problem.value.fact for address in addresses)
    assert "BindIPv6Only=both" in problem.value.next


def test_what_takes_no_connections_is_refused(pass_on: Pass, tmp_path: Path) -> None:
    for wrong in (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()):
        with pytest.raises(ListenError, match="takes no connections") as problem:
            take(pass_on(wrong))
        assert "ListenStream= and Accept=no" in problem.value.next
    file = (tmp_path / "x").open("w")
    os.dup2(file.fileno(), FIRST)
    file.close()
    with pytest.raises(ListenError, match=r"the file 700 \(socket\) that systemd passes is no socket"):
        take({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})


def test_settings_have_the_address_of_the_socket_and_say_what_it_hides(
    pass_on: Pass, tmp_path: Path, settings: Configuration
) -> None:
    passed = take(pass_on(listen(), listen(), names="rfctl.socket:monitor"))
    used = passed.use_addresses(settings)
    port = passed.webhook.getsockname()[1]  # type: ignore[union-attr]
    assert (used.settings.http.host, used.settings.http.port) == ("127.0.0.1", port)
    assert used.settings.daemon.monitor == passed.monitor.describe()  # type: ignore[union-attr]
    assert used.set_by("http.port") == "rfctl.socket of systemd"
    [notice] = used.notices
    assert (
        notice
        == f"http.port is {port}, as rfctl.socket of systemd has it: 0 (variable RFCTL_HTTP__PORT) is not used"
    )
    sockets = Sockets.bind(used.settings, passed)
    assert (sockets.webhook, sockets.monitor) == (passed.webhook, passed.monitor)
    sockets.close()


def test_file_of_a_passed_socket_stays(pass_on: Pass, tmp_path: Path, settings: Configuration) -> None:
    path = tmp_path / "s.sock"
    passed = take(pass_on(listen(str(path), socket.AF_UNIX)))
    assert passed.webhook is not None
    assert passed.use_addresses(settings).settings.http.host == f"unix:{path}" == format_url(passed.webhook)
    remove_file(passed.webhook)
    Sockets(passed.webhook).close()
    assert path.exists()


def test_abstract_socket_has_a_name_that_can_be_read(pass_on: Pass) -> None:
    listening = listen("\0rfctl-test", socket.AF_UNIX)
    passed = take(pass_on(listening))
    assert passed.webhook is not None
    assert format_url(passed.webhook) == "unix:@rfctl-test"
    passed.webhook.close()


def test_socket_that_is_open_to_others_needs_secrets_whatever_the_settings_say(
    pass_on: Pass, settings: Configuration
) -> None:
    passed = take(pass_on(listen("0.0.0.0"), names="rfctl@shop.socket"))
    with pytest.raises(SettingsError) as problem:
        Sockets.bind(passed.use_addresses(settings).settings, passed)
    assert "or ListenStream=127.0.0.1:PORT in rfctl@shop.socket, or" in problem.value.next
    [line] = problem.value.problems
    assert line.endswith("it has no secrets, and the listener on 0.0.0.0 is open to others")
    passed.webhook.close()  # type: ignore[union-attr]


def test_daemon_without_a_webhook_refuses_its_socket(pass_on: Pass, tmp_path: Path) -> None:
    settings = configure("redis://127.0.0.1:1/0", tmp_path, daemon__role="processor")
    passed = take(pass_on(listen(), names="rfctl.socket"))
    with pytest.raises(ListenError, match="a daemon of the role processor has none") as problem:
        Sockets.bind(passed.use_addresses(settings).settings, passed)
    assert "systemctl disable --now rfctl.socket" in problem.value.next
    passed.webhook.close()  # type: ignore[union-attr]
