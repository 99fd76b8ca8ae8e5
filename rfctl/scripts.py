"""The scripts in lua/, as Redis is to run them.

A verb that writes has `batch.lua` put before it. The first line of a file may name flags; they go into the
`#!lua` line that Redis ≥ 7 understands (without one, a script may touch another slot in silence). Redis 6.2
does not know that line: there, and only there, it is left out, and a hand-over cannot run out of memory.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_SHARED = "batch"
_ALONE = frozenset({"peek"})
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
        return Script(self.verb, self.text.partition("\n")[2])


def _read(verb: str) -> str:
    return resources.files("rfctl").joinpath("lua", f"{verb}.lua").read_text(encoding="utf-8")


@cache
def script(verb: str) -> Script:
    """Return the script of a verb: add, hand_over, flush, discard or peek."""
    own = _read(verb)
    flags = _FLAGS.match(own)
    shebang = f"#!lua flags={flags[1]}\n" if flags else "#!lua\n"
    shared = "" if verb in _ALONE else _read(_SHARED)
    return Script(verb, shebang + shared + own)
