"""Reads the scripts in lua/ and assembles each as Redis is to run it.

A verb is a file in lua/batches, lua/clock, lua/deliveries, lua/layout, lua/output or
lua/probe. Its head is a few lines of comment:

    -- flags=allow-oom: why          goes into the `#!lua` line
    -- include: shared/clock, …      puts these files before it, in this order
    -- on demand: shared/batch, …    puts these files before it too, as the function `define_on_demand`

Redis ≥ 7 reads the `#!lua` line; without that line, a script may touch another slot unnoticed. Redis 6.2 does not
know the line: there, and only there, it is left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

CLOCK = "shared/clock"
"""The include that reads the clock, which a `ScriptLibrary` may be given another text for."""
_FOLDERS = ("batches", "clock", "deliveries", "layout", "output", "probe")
_ALLOW_OOM = "redis.call('UNLINK', KEYS[1] .. ':')\n"
"""What flags=allow-oom is to Redis 6.2: it lets everything through behind a first write that takes no memory."""
_FLAGS = re.compile(r"-- flags=([a-z,-]+)")
_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
_ON_DEMAND = re.compile(r"^-- on demand: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its text for a server with `#!lua`, and without."""

    verb: str
    text: str
    reads_clock: bool = False
    """Whether it takes the clock's key and the bounds of the time as its last key and arguments."""
    sha: str = field(init=False)
    """The name that EVALSHA knows it by."""

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)

    def without_shebang(self) -> Script:
        """Return it for Redis 6.2."""
        shebang, _, rest = self.text.partition("\n")
        return Script(self.verb, (_ALLOW_OOM if "allow-oom" in shebang else "") + rest, self.reads_clock)


class ScriptLibrary:
    """The scripts on one clock. `clock` is the Lua text that stands for shared/clock.lua; None is that file."""

    def __init__(self, clock: str | None = None) -> None:
        self._clock = clock
        self._scripts: dict[str, Script] = {}
        self._plain_scripts: dict[str, Script] = {}

    def script(self, verb: str) -> Script:
        """Return the script of a verb. Raises KeyError for a verb without a file."""
        script = self._scripts.get(verb)
        if script is None:
            script = self._scripts[verb] = self._assemble(verb)
        return script

    def plain_script(self, verb: str) -> Script:
        """Return the script of a verb for Redis 6.2. Raises as `script`."""
        if verb not in self._plain_scripts:
            self._plain_scripts[verb] = self.script(verb).without_shebang()
        return self._plain_scripts[verb]

    def _assemble(self, verb: str) -> Script:
        text = _read(_files()[verb])
        flags = _FLAGS.match(text)
        shebang = f"#!lua flags={flags[1]}\n" if flags else "#!lua\n"
        includes = parse_includes(text)
        parts = [*map(self._include, includes), self._wrap(parse_on_demand(text)), text]
        return Script(verb, shebang + "".join(parts), CLOCK in includes)

    def _wrap(self, names: Sequence[str]) -> str:
        """Return files as one function: what most calls do not need is not defined by them. The last one returns."""
        body = "".join(map(self._include, names))
        return f"local function define_on_demand()\n{body}end\n" if names else ""

    def _include(self, name: str) -> str:
        if name == CLOCK and self._clock is not None:
            return self._clock
        return _read(name)


def list_verbs() -> list[str]:
    """Return the name of every verb."""
    return sorted(_files())


def read_scripts() -> None:
    """Read the files of every verb: from now on another version may stand in their place."""
    library = ScriptLibrary()
    for verb in list_verbs():
        library.script(verb)


def parse_includes(text: str) -> list[str]:
    """Return what a verb's text parse_includes, in order, each as a path below lua/ without `.lua`."""
    return _split_names(_INCLUDE.findall(text))


def parse_on_demand(text: str) -> list[str]:
    """Return what a verb's text defines when it needs it, in the same form."""
    return _split_names(_ON_DEMAND.findall(text))


def _split_names(lines: list[str]) -> list[str]:
    return [name.strip() for line in lines for name in line.split(",")]


@cache
def _files() -> dict[str, str]:
    """Return the file of each verb, as includes are named."""
    return dict(_verbs_in(_FOLDERS))


def _verbs_in(folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for file in _root().joinpath(folder).iterdir():
            if file.name.endswith(".lua"):
                verb = file.name.removesuffix(".lua")
                yield verb, f"{folder}/{verb}"


def _root() -> Traversable:
    return resources.files("rfctl.store").joinpath("lua")


@cache
def _read(name: str) -> str:
    return _root().joinpath(*f"{name}.lua".split("/")).read_text(encoding="utf-8")
