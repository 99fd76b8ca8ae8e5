"""The scripts in lua/, as Redis is to run them.

A verb about batches has `batch.lua` put before it, one about a sink's deliveries `sink.lua`. The first line of a
file may name flags; they go into the `#!lua` line that Redis ≥ 7 understands (without one, a script may touch
another slot in silence). Redis 6.2 does not know that line: there, and only there, it is left out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_SHARED = {
    "batch": frozenset({"add", "hand_over", "flush", "discard"}),
    "sink": frozenset(
        {
            "defer",
            "schedule_retry",
            "acknowledge",
            "write_and_acknowledge",
            "dead_letter",
            "requeue",
            "retry_now",
        }
    ),
}
_ALLOW_OOM = "redis.call('UNLINK', KEYS[1] .. ':')\n"
"""What flags=allow-oom is to Redis 6.2: it lets everything through behind a first write that takes no memory."""
_FLAGS = re.compile(r"-- flags=([a-z,-]+)")


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its text for a server with `#!lua`, and without."""

    verb: str
    text: str

    @property
    def sha(self) -> str:
        """The name that EVALSHA knows it by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def without_shebang(self) -> Script:
        """Return it for Redis 6.2."""
        shebang, _, rest = self.text.partition("\n")
        return Script(self.verb, (_ALLOW_OOM if "allow-oom" in shebang else "") + rest)


_FOLDERS = ("batches", "deliveries", "output")


def _read(folder: str, name: str) -> str | None:
    file = resources.files("rfctl.store").joinpath("lua", folder, f"{name}.lua")
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _read_verb(verb: str) -> str:
    return next(text for folder in _FOLDERS if (text := _read(folder, verb)) is not None)


@cache
def script(verb: str) -> Script:
    """Return the script of a verb: a file in lua/."""
    own = _read_verb(verb)
    flags = _FLAGS.match(own)
    shebang = f"#!lua flags={flags[1]}\n" if flags else "#!lua\n"
    shared = "".join(_read("shared", name) or "" for name, verbs in _SHARED.items() if verb in verbs)
    return Script(verb, shebang + shared + own)
