"""The OpenAPI document of a running daemon: it has every route that this daemon serves, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.daemon import daemon as module
from rfctl.daemon.http_server import HttpServer
from rfctl.page.action_bodies import BODIES
from tests.conftest import configure, running
from tests.support.servers import RedisServer


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"http__page": "off"}, set()),
        ({"http__page": "on"}, {"/", "/page/state", "/page/actions/hold"}),
        ({"http__admin_token": "a-token-of-a-test"}, {"/", "/page/login", "/page/logout"}),
    ],
    ids=["without the page", "page of this machine", "page with a login"],
)
async def test_document_has_every_route_of_the_daemon(
    server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    more: set[str],
) -> None:
    apps: list[Any] = []

    class Listening(HttpServer):
        def __init__(self, app: Any, *arguments: Any) -> None:
            apps.append(app)
            super().__init__(app, *arguments)

    monkeypatch.setattr(module, "HttpServer", Listening)
    token = {"Authorization": f"Bearer {settings.get('http__admin_token', 'none')}"}
    async with (
        running(configure(server.url, tmp_path, **settings)) as service,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        document = (await http.get(f"{service.url}/openapi.json", headers=token)).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    [app] = apps
    served = {
        (method, path)
        for route in app.routes
        for method in route.methods - {"HEAD"}
        for path in list_paths(route.path.replace(":rest}", "}"), ["generic"])
    }
    assert described == served
    assert more <= {path for _, path in described}


def list_paths(path: str, sources: list[str]) -> list[str]:
    """Return the paths of a route as the document has them: each source and each action by its name."""
    names = list(BODIES) if path.startswith("/page/") else sources
    return [path.replace("{name}", name) for name in names] if "{name}" in path else [path]
