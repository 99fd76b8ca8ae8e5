from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sinks.http.addresses import AddressBlockedError, find_block_reason, open_public_socket

INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
    "2002:808:808::1", "3fff::1", "4000::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.255.255",
    "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_address_that_is_not_public_is_blocked_with_its_name(host: str) -> None:
    assert find_block_reason(host).startswith(f"{host} is a")


@pytest.mark.parametrize("host", OUTSIDE)
def test_a_public_address_is_allowed(host: str) -> None:
    assert find_block_reason(host) == ""


@pytest.mark.parametrize(
    "host", ["localhost", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "", "1.1.1.1 "]
)
def test_numeric_host_in_odd_notation_is_rejected(host: str) -> None:
    assert "is not an address" in find_block_reason(host)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_every_wrapping(address: ipaddress.IPv4Address) -> None:
    allowed = find_block_reason(str(address)) == ""
    assert (find_block_reason(f"::ffff:{address}") == "") is allowed
    assert (find_block_reason(f"64:ff9b::{address}") == "") is allowed
    if not address.is_global:
        assert not allowed


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_that_python_calls_not_global_is_refused(address: ipaddress.IPv6Address) -> None:
    if not address.is_global and address.ipv4_mapped is None:
        assert find_block_reason(str(address))


def target(host: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 80))


def test_a_socket_is_made_for_a_public_address_only() -> None:
    with open_public_socket(target("8.8.8.8")) as built:
        assert (built.family, built.type) == (socket.AF_INET, socket.SOCK_STREAM)
    with pytest.raises(AddressBlockedError) as refused:
        open_public_socket(target("10.1.2.3"))
    assert str(refused.value) == "10.1.2.3 is a private address: blocked unless allow_private = true"
