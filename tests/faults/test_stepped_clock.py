"""The shim that steps a server's clock does what the other tests take for granted."""

from __future__ import annotations

from tests.support.stepped_clock import SteppedServer

MINUTE, HOUR = 60_000, 3_600_000


async def test_clock_of_a_server_steps_and_its_monotonic_clock_does_not(
    stepped_server: SteppedServer,
) -> None:
    before = stepped_server.read_clock_ms()
    await stepped_server.step(HOUR)
    assert abs(stepped_server.read_clock_ms() - before - HOUR) < MINUTE
    with stepped_server.client() as client:
        assert client.blpop(["nothing"], timeout=1) is None
    await stepped_server.step(-2 * HOUR)
    assert abs(stepped_server.read_clock_ms() - before + HOUR) < MINUTE
