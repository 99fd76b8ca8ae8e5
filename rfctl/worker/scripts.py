"""The scripts of a worker, as Redis is to run them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Verb = Literal["take", "finish", "renew", "leave"]
_SHEBANG = "#!lua flags=allow-oom\n"
"""A worker frees memory, so it goes on where there is none. Redis 6.2 does not know this line."""
_ALLOW_OOM = "redis.call('XDEL', KEYS[1], '0-0')\n"
"""What that is to Redis 6.2: it lets everything through behind a first write that takes no memory. No entry has that id."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the name by which EVALSHA knows it."""

    text: str

    @property
    def sha(self) -> str:
        """The digest of its text."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def without_shebang(self) -> Script:
        """Return it as Redis 6.2 takes it."""
        return Script(_ALLOW_OOM + self.text.removeprefix(_SHEBANG))


@cache
def read_script(verb: Verb) -> Script:
    """Return the script of a verb."""
    folder = resources.files("rfctl.worker").joinpath("lua")
    shared, own = (
        folder.joinpath(*place).read_text() for place in (("shared", "group.lua"), (f"{verb}.lua",))
    )
    return Script(_SHEBANG + shared + own)
