"""A user of Redis with the rights that `rfctl export acl` prints, and every call that our sources make to Redis."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rfctl
from rfctl.store.rights import Rights, name_command
from tests.support.servers import RedisServer

STORE = Path(rfctl.__file__).parent / "store"
PASSWORD = "password"
_NAME = re.compile(r"[A-Z]+( [A-Z]+)?")
_ERROR_CODES = {"READONLY"}
"""A command of a cluster, and the code of an error of which `store` speaks."""


def make_user(server: RedisServer, rights: Rights, *changes: str, name: str = "rfctl", more: str = "") -> str:
    """Make a user by the line of the rights, then with further rules; returns its URL."""
    with server.client() as client:
        line = rights.grant(name, password=PASSWORD) + more
        client.execute_command(*line.split(" "))
        if changes:
            client.execute_command("ACL", "SETUSER", name, *changes)
    return server.url.replace("//", f"//{name}:{PASSWORD}@")


def list_denials(server: RedisServer) -> list[str]:
    """Return what the server has denied since the last ACL LOG RESET."""
    with server.client() as client:
        return [str(entry["object"]) for entry in client.execute_command("ACL", "LOG")]


def find_calls(commands: set[str], folder: Path = STORE) -> Iterator[tuple[str, str]]:
    """Yield each command of Redis that stands first in a call or a tuple, and where; `commands` are all that there are."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call | ast.Tuple | ast.List):
                continue
            parts = node.args if isinstance(node, ast.Call) else node.elts
            words = [part.value for part in parts if isinstance(part, ast.Constant)]
            texts = [word for word in words if isinstance(word, str)]
            if not texts or not isinstance(parts[0], ast.Constant) or path.name == "rights.py":
                continue
            if _NAME.fullmatch(texts[0]) and texts[0].split(" ")[0] in commands - _ERROR_CODES:
                yield name_command(*texts), f"{path.name}:{node.lineno}"
