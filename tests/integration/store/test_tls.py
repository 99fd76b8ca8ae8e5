"""Redis behind TLS, with a CA of one's own: the daemon's Redis, and the queues of the sinks."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rfctl.assembly.check import find_problems
from rfctl.assembly.sinks import build_target
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.redis_settings import RedisSettings
from rfctl.errors import RedisUnreachableError, SettingsError
from rfctl.sinks.redis import RedisSink
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.certificates import self_signed
from tests.support.forwarding import deliveries, hand_over
from tests.support.outlets import settings
from tests.support.relays import Relay
from tests.support.servers import RedisServer, patient_address

QUEUES = {"bullmq": "bull:company-none-messages:wait", "celery": "celery", "rq": "rq:queue:default"}


@pytest.fixture
async def tls_url(server: RedisServer, tmp_path: Path) -> AsyncIterator[str]:
    """The server's URL through TLS, with the CA that vouches for it."""
    certificate, context = self_signed(tmp_path)
    async with Relay(server.port, context) as relay:
        yield f"{relay.url}?ssl_ca_certs={certificate}"


async def test_redis_is_reached_through_tls_with_the_ca_of_the_url(tls_url: str) -> None:
    connection = Connection.open(patient_address(tls_url))
    await connection.call("SET", "a", 1)
    assert await connection.call("GET", "a") == b"1"
    await connection.close()


async def test_certificate_of_an_unknown_ca_is_rejected_with_the_next_step(tls_url: str) -> None:
    connection = Connection.open(patient_address(tls_url.partition("?")[0]))
    with pytest.raises(RedisUnreachableError, match="certificate verify failed") as problem:
        await connection.call("GET", "a")
    await connection.close()
    assert "redis.tls_ca" in problem.value.next
    assert "ssl_ca_certs=" in problem.value.next


async def _fail(url: str) -> RedisUnreachableError:
    connection = Connection.open(RedisAddress(url, "the test", connect_timeout_ms=1000, timeout_ms=1000))
    with pytest.raises(RedisUnreachableError) as problem:
        await connection.call("GET", "a")
    await connection.close()
    return problem.value


async def test_plain_url_at_a_tls_port_is_sent_to_rediss(tls_url: str) -> None:
    problem = await _fail(tls_url.partition("?")[0].replace("rediss", "redis"))
    assert "write rediss:// in place of redis://" in problem.next


async def test_tls_url_at_a_plain_port_is_sent_to_redis(server: RedisServer) -> None:
    problem = await _fail(server.url.replace("redis:", "rediss:"))
    assert "write redis:// in place of rediss://" in problem.next


async def test_client_certificate_that_is_asked_for_is_named(server: RedisServer, tmp_path: Path) -> None:
    certificate, context = self_signed(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    async with Relay(server.port, context) as relay:
        url = f"{relay.url}?ssl_ca_certs={certificate}"
        problem = await _fail(url)
        assert "redis.tls_cert" in problem.next
        settings = RedisSettings(
            url=relay.url,
            tls_ca=str(certificate),
            tls_cert=str(certificate),
            tls_key=str(tmp_path / "key.pem"),
        )
        connection = Connection.open(patient_address(settings.full_url()))
        assert await connection.call("PING") == b"PONG"
        await connection.close()


async def test_file_of_a_setting_is_named_by_the_setting_and_who_set_it(tmp_path: Path) -> None:
    variables = {"RFCTL_REDIS__URL": "rediss://h", "RFCTL_REDIS__TLS_CA": str(tmp_path / "none.pem")}
    configuration = load(Environment(variables, tmp_path / "none.toml"))
    with pytest.raises(SettingsError) as problem:
        Connection.open(configuration.address())
    words = f"redis.tls_ca: {tmp_path}/none.pem cannot be read: No such file or directory"
    assert problem.value.problems == [f"{words} (set by variable RFCTL_REDIS__TLS_CA)"]
    assert words in await find_problems(configuration.settings)


async def test_missing_ca_file_is_named_before_anything_is_sent(tls_url: str) -> None:
    with pytest.raises(SettingsError) as problem:
        Connection.open(patient_address(tls_url + "x"))
    assert "certificate.pemx cannot be read: No such file or directory" in problem.value.problems[0]


@pytest.mark.parametrize("kind", QUEUES)
async def test_queue_is_reached_through_tls_with_the_ca_of_the_url(
    tls_url: str, connection: Connection, kind: str
) -> None:
    [entry_id] = await hand_over(connection, ("7", "a"))
    target = build_target("bot", settings(kind, url=tls_url), redis_url="redis://127.0.0.1:1/0")
    assert not isinstance(target.sink, RedisSink)
    await target.sink.open()
    await target.sink.deliver((await deliveries(connection).fetch(entry_id)).to_delivery())
    await target.close()
    assert await connection.call("LLEN", QUEUES[kind]) == 1
