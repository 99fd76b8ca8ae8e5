"""A logout ends the session on every daemon of a Redis, and says so where it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from rfctl.daemon.daemon import Daemon
from rfctl.page.sessions import LIFETIME_S
from tests.support.page_client import browse, read_events, serving, wait_for_event
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import PATIENCE_S, until

TOKEN = {"http__admin_token": "geheim"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def log_in(service: Daemon) -> dict[str, str]:
    async with browse(service) as http:
        answer = await http.post("/page/login", data={"token": "geheim"})
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


async def read_status(http: httpx.AsyncClient) -> int:
    return (await http.get("/page/state")).status_code


async def test_logout_ends_the_session_and_its_streams_on_every_daemon(
    server: RedisServer, tmp_path: Path
) -> None:
    async with serving(server, tmp_path, **TOKEN) as first, serving(server, tmp_path, **TOKEN) as second:
        session, other = await log_in(first), await log_in(first)
        async with (
            browse(first, **session) as here,
            browse(second, **session) as there,
            browse(second, **other) as stranger,
            there.stream("GET", "/page/events") as stream,
        ):
            events = read_events(stream)
            await wait_for_event(events, "state")
            left = await here.post("/page/logout")
            assert (left.status_code, left.headers["location"]) == (303, "../")
            async with asyncio.timeout(PATIENCE_S):
                async for _ in events:  # it ends whole: the client raises where an answer is cut off
                    pass
            await until(lambda: read_is(there, 401))
            assert await read_status(stranger) == 200, "another session stays"
        with server.client() as client:
            [key] = client.keys("rfctl:logout:*")
            assert LIFETIME_S <= int(client.ttl(key)) <= LIFETIME_S + 3600


async def read_is(http: httpx.AsyncClient, status: int) -> bool:
    return await read_status(http) == status


async def test_daemon_that_starts_later_knows_of_a_logout(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, **TOKEN) as first:
        session = await log_in(first)
        async with browse(first, **session) as http:
            await http.post("/page/logout")
    async with serving(server, tmp_path, **TOKEN) as second, browse(second, **session) as http:
        assert await read_status(http) == 401


@pytest.mark.parametrize("is_browser", [True, False])
async def test_logout_says_that_redis_cannot_be_told_and_tells_it_later(
    own_server: ServerMaker, tmp_path: Path, is_browser: bool
) -> None:
    server = own_server()
    headers = BROWSER if is_browser else {}
    async with serving(server, tmp_path, **TOKEN) as first, serving(server, tmp_path, **TOKEN) as second:
        session = await log_in(first)
        async with browse(first, **session) as here, browse(second, **session) as there:
            server.kill()
            with capture_logs() as lines:
                left = await here.post("/page/logout", headers=headers)
            assert left.status_code == 503
            assert "Max-Age=0" in left.headers["set-cookie"], "the browser forgets it"
            assert "logged out here, and maybe not everywhere" in left.text
            assert ('action="login"' in left.text) is is_browser, "a browser gets the form"
            assert any("is known to this daemon alone" in line.get("problem", "") for line in lines)
            assert await read_status(here) == 401
            server.start()
            await until(lambda: read_is(there, 401))


async def test_page_of_a_session_has_the_way_out_before_any_script_runs(
    server: RedisServer, tmp_path: Path
) -> None:
    way_out = 'action="page/logout" id="logout">'
    async with serving(server, tmp_path, **TOKEN) as service:
        async with browse(service, **await log_in(service)) as http:
            assert way_out in (await http.get("/")).text
        async with browse(service, Authorization="Bearer geheim") as http:
            assert way_out not in (await http.get("/")).text, "it has no session to end"
    async with serving(server, tmp_path) as service, browse(service) as http:
        assert way_out not in (await http.get("/")).text, "there is no login"


async def test_logout_for_another_site_ends_nothing(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, **TOKEN) as service:
        session = await log_in(service)
        async with browse(service, **session) as http:
            foreign = {"Origin": "https://evil.example"}
            answer = await http.post("/page/logout", headers=foreign)
            assert (answer.status_code, "set-cookie" in answer.headers) == (303, False)
            assert await read_status(http) == 200


async def test_page_is_there_while_redis_is_away(own_server: ServerMaker, tmp_path: Path) -> None:
    """Nobody knows then who has logged out elsewhere: the page says what it knows, and cannot act."""
    server = own_server()
    async with (
        serving(server, tmp_path, **TOKEN) as service,
        browse(service, **await log_in(service)) as http,
    ):
        assert (await http.get("/")).status_code == 200
        server.kill()
        state = (await http.get("/page/state")).json()
        assert state["outage"]["fact"]
        server.start()
