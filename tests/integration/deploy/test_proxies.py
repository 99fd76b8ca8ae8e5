"""The examples for nginx and Caddy: their own programs read them, and a real daemon stands behind each."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.config.http_settings import HttpSettings
from rfctl.daemon.http_protocol import KEEP_ALIVE_S
from tests.conftest import configure, running
from tests.support.certificates import self_signed
from tests.support.processes import Process
from tests.support.servers import RedisServer
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[3] / "deploy"
NGINX, CADDY = (DEPLOY / "nginx.conf").read_text(), (DEPLOY / "Caddyfile").read_text()
PROXIES = {"nginx": "nginx-light", "caddy": "caddy"}
"""Each program, and the package of Debian that has it."""
TOKEN = "t" * 32
MIB = 1_048_576


def find_program(name: str) -> str:
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(f"needs {name} (Debian: apt-get install {PROXIES[name]})")
    return program


def pick_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def change(text: str, changes: dict[str, str]) -> str:
    """Return the example as it is tried: each place that is changed must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_nginx(folder: Path, listener: str, daemon: str) -> Path:
    """Write a whole configuration around the example. Its certificate is for this machine."""
    self_signed(folder)
    example = change(
        NGINX,
        {
            "listen 443 ssl": f"listen {listener} ssl",
            "    listen [::]:443 ssl http2;\n": "",
            "/etc/letsencrypt/live/bot.example.com/fullchain.pem": str(folder / "certificate.pem"),
            "/etc/letsencrypt/live/bot.example.com/privkey.pem": str(folder / "key.pem"),
            "server 127.0.0.1:3000;": f"server {daemon};",
        },
    )
    places = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not write into this folder
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; {user} pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {places}\n{example}}}\n"
    )
    return file


def write_caddy(folder: Path, listener: str, daemon: str) -> Path:
    changes = {
        "bot.example.com {": f"http://{listener} {{",
        "reverse_proxy 127.0.0.1:3000": f"reverse_proxy {daemon}",
    }
    file = folder / "Caddyfile"
    file.write_text(change(CADDY, {**changes, "\n{\n\tservers": "\n{\n\tadmin off\n\tservers"}))
    return file


def caddy_variables(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


@contextmanager
def proxying(name: str, folder: Path, daemon: str) -> Iterator[httpx.AsyncClient]:
    """Run a proxy in front of a daemon. Yields a client of it."""
    program, listener = find_program(name), f"127.0.0.1:{pick_port()}"
    verify: Any = True
    if name == "nginx":
        command = [
            program,
            "-c",
            str(write_nginx(folder, listener, daemon)),
            "-p",
            str(folder),
            "-e",
            "stderr",
        ]
        verify = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    else:
        command = [
            program,
            "run",
            "--config",
            str(write_caddy(folder, listener, daemon)),
            "--adapter",
            "caddyfile",
        ]
    scheme = "https" if name == "nginx" else "http"
    with Process(command, caddy_variables(folder)):
        yield httpx.AsyncClient(base_url=f"{scheme}://{listener}", verify=verify, trust_env=False, timeout=30)


@asynccontextmanager
async def a_daemon_behind(name: str, server: RedisServer, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = configure(
        server.url, folder, http__admin_token=TOKEN, sources__salon__type="generic", sources__salon__secrets="s", sources__salon__auth="token",
        sources__open__type="generic", http__max_body_bytes="3145728",
    )  # fmt: skip
    find_program(name)
    async with running(settings) as daemon:
        with proxying(name, folder, daemon.url.removeprefix("http://")) as http:
            async with http:

                async def answers() -> bool:
                    try:
                        return (await http.get("/webhook/")).status_code > 0
                    except httpx.TransportError:
                        return False

                await until(answers)
                yield http


def test_nginx_takes_its_example(tmp_path: Path) -> None:
    program, file = find_program("nginx"), write_nginx(tmp_path, f"127.0.0.1:{pick_port()}", "127.0.0.1:3000")
    done = subprocess.run(
        [program, "-t", "-c", file, "-p", tmp_path, "-e", "stderr"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_caddy_takes_its_example_and_would_write_it_so(tmp_path: Path) -> None:
    program, file, variables = find_program("caddy"), DEPLOY / "Caddyfile", caddy_variables(tmp_path)
    for words in (("validate", "--config", str(file), "--adapter", "caddyfile"), ("fmt", str(file))):
        done = subprocess.run(
            [program, *words], env=variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == CADDY


def test_numbers_of_the_examples_are_those_of_rfctl() -> None:
    settings = HttpSettings()
    [size] = re.findall(r"client_max_body_size (\d+)m;", NGINX)
    assert int(size) * MIB == settings.max_body_bytes
    assert "max_size" not in CADDY, "Caddy's own bound ends as a 502, which a provider sends again"
    for pattern, text in ((r"keepalive_timeout (\d+)s", NGINX), (r"keepalive (\d+)s", CADDY)):
        assert 0 < int(re.findall(pattern, text)[0]) < KEEP_ALIVE_S
    for limit_ms, nginx, caddy in (
        (settings.header_timeout_ms, "client_header_timeout", "read_header"),
        (settings.body_timeout_ms, "client_body_timeout", "read_body"),
    ):
        assert f"{nginx} {limit_ms // 1000}s;" in NGINX
        assert f"{caddy} {limit_ms // 1000}s\n" in CADDY
    assert f"127.0.0.1:{settings.port}" in NGINX
    assert f"127.0.0.1:{settings.port}" in CADDY


@pytest.mark.parametrize("name", PROXIES)
async def test_webhooks_pass_and_what_is_for_the_operator_does_not(
    name: str, server: RedisServer, tmp_path: Path
) -> None:
    message = {"from": "79001234567", "body": "hi"}
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with a_daemon_behind(name, server, tmp_path) as http:
        for _ in range(3):  # over one connection of the proxy
            answer = await http.post("/webhook/salon", json=message, headers={"Authorization": "Bearer s"})
            assert answer.status_code == 200, answer.text
        assert (await http.post("/webhook/salon", json=message)).status_code == 401
        stranger = await http.post("/webhook/open", json=message)
        assert (stranger.status_code, "a proxy brought this" in stranger.text) == (401, True)
        for path in (
            "/metrics",
            "/healthz",
            "/admin/probe",
            "/webhook/whatsapp/batched/stats",
            "/",
            "/rfctl/metrics",
        ):
            assert (await http.get(path, headers=bearer)).status_code == 404, path
        deletion = await http.delete("/webhook/whatsapp/batched/79001234567", headers=bearer)
        assert deletion.status_code == 404


@pytest.mark.parametrize("name", PROXIES)
async def test_a_body_beyond_the_bound_is_refused_as_such(
    name: str, server: RedisServer, tmp_path: Path
) -> None:
    headers = {"Authorization": "Bearer s", "Content-Type": "application/json"}
    async with a_daemon_behind(name, server, tmp_path) as http:
        fits = b'{"from": "7", "body": "hi", "raw": "' + b"x" * (2 * MIB) + b'"}'
        assert (await http.post("/webhook/salon", content=fits, headers=headers)).status_code == 200
        too_large = await http.post("/webhook/salon", content=b"x" * (3 * MIB + 1), headers=headers)
        assert too_large.status_code == 413


@pytest.mark.parametrize("name", PROXIES)
async def test_the_page_works_under_a_path(name: str, server: RedisServer, tmp_path: Path) -> None:
    if find_spec("rfctl.page") is None:
        pytest.skip("needs rfctl.page: this version of rfctl has no page yet")
    async with a_daemon_behind(name, server, tmp_path) as http:
        form = await http.get("/rfctl/")
        assert (form.status_code, '"page/login"' in form.text) == (401, True)
        assert (await http.get("/rfctl/page/rfctl.css")).status_code == 200
        origin = {"Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        entered = await http.post("/rfctl/page/login", data={"token": TOKEN}, headers=origin)
        assert entered.status_code == 303
        assert entered.url.join(entered.headers["location"]).path == "/rfctl/"
        assert ("Secure" in entered.headers["set-cookie"]) == (name == "nginx")
        assert (await http.get("/rfctl/")).status_code == 200
        async with http.stream("GET", "/rfctl/page/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            async for (
                line
            ) in events.aiter_lines():  # not gathered by the proxy: the first comes while the page is open
                assert line.startswith((":", "event: state", "retry:")), line
                break
