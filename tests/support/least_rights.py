"""Runs a whole test run as the user that `rfctl export acl` prints: TEST_REDIS_ACL=1 scripts/test tests/integration.

Every server knows that user, and the one that `rfctl export acl --worker bot` prints, which workers of tests are. What rfctl sends inside the test's process goes out under its name. What a test asks or sets
itself does not: then the caller of `Connection.call` is no module of rfctl.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from rfctl.assembly.rights import build_worker_rights
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights

IS_ASKED_FOR = os.environ.get("TEST_REDIS_ACL") == "1"
USER, PASSWORD = "least", "least"
WORKER = "least-worker"
DESTINATIONS = [
    "rfctl-test:now",
    "jobs",
    "messages:{company}",
    "queue:{company}",
    "out",
    "crm",
    "bot:{phone}",
    "pushed",
    "s",
    "inbox",
    "copy",
    "taken",
    "to-{phone}",
    "backup:rapid-fire:{phone}",
    "backup:rfctl:due",
    "backup:rfctl:{1}:due",
    "backup:rfctl:{3}:due",
    "somewhere",
]
"""The key of the tests' own clock, and keys that sinks of tests fill."""


def user_option() -> list[str]:
    """Return the option of a server that makes the user at its start, if the run asks for it."""
    if not IS_ASKED_FOR:
        return []
    rights = build_rights(Keyspace(), 0, DESTINATIONS)
    return [*_as_option(USER, rights.grant(USER, password=PASSWORD)), *_as_option(WORKER, _grant_to_worker())]


def choose_worker_url(url: str) -> str:
    """Return the URL for a worker of a test: that of the worker's user, if the run asks for it."""
    is_plain = "@" not in url and url.startswith("redis://127.0.0.1")
    return url.replace("//", f"//{WORKER}:{PASSWORD}@") if IS_ASKED_FOR and is_plain else url


def _grant_to_worker() -> str:
    """Return the line for a worker of group bot, with shards and without, and with the other stream of some tests."""
    lines = []
    for shards, stream in (("0", "rfctl:out"), ("4", "rfctl:out"), ("0", "merged"), ("4", "merged")):
        variables = {"RFCTL_REDIS__SHARDS": shards, "RFCTL_OUTPUT__STREAM": stream}
        settings = load(Environment(variables, Path("/none"))).settings
        lines.append(build_worker_rights(settings, "bot").grant(WORKER, password=PASSWORD))
    more = " ".join(lines[1:]).split(" ")
    return " ".join([lines[0], *dict.fromkeys(word for word in more if word.startswith("~"))])


def _as_option(user: str, line: str) -> list[str]:
    return ["--user", user, *line.removeprefix(f"ACL SETUSER {user} reset ").split(" ")]


@contextmanager
def connecting_with_least_rights() -> Iterator[None]:
    """Let every connection of rfctl be that user's, while the run asks for it."""
    if not IS_ASKED_FOR:
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        _patch(patched)
        yield


def _patch(patched: pytest.MonkeyPatch) -> None:
    originals: dict[str, Any] = {name: getattr(Connection, name) for name in ("call", "calls", "close")}
    open_any: Any = Connection.__dict__["open"].__func__

    def open_as_user(cls: type[Connection], address: RedisAddress, /, **more: Any) -> Connection:
        if "@" in address.url or not address.url.startswith("redis://127.0.0.1"):
            return cast(Connection, open_any(cls, address, **more))
        own = replace(address, url=address.url.replace("//", f"//{USER}:{PASSWORD}@"))
        connection: Any = open_any(cls, own, **more)
        connection.address = address
        connection.as_test = open_any(Connection, address)
        return cast(Connection, connection)

    def choose(name: str) -> Any:
        def send(connection: Connection, *args: Any, **more: Any) -> Any:
            is_ours = str(sys._getframe(1).f_globals["__name__"]).startswith("rfctl.")
            other = None if is_ours else getattr(connection, "as_test", None)
            return originals[name](other or connection, *args, **more)

        return send

    async def close(connection: Connection) -> None:
        other = getattr(connection, "as_test", None)
        if other is not None:
            await originals["close"](other)
        await originals["close"](connection)

    patched.setattr(Connection, "open", classmethod(open_as_user))
    patched.setattr(Connection, "call", choose("call"))
    patched.setattr(Connection, "calls", choose("calls"))
    patched.setattr(Connection, "close", close)
