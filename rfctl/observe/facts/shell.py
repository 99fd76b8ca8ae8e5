"""What this process looks at, and who set that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shell:
    """The settings of this process, as far as a daemon may have others. `redis` is a masked URL.

    `set_by` is who set the address, `overrides` the values that lost against it. `files` are the settings files.
    `short_tokens` are the settings of tokens that may be guessed, each with who set it.
    """

    redis: str
    set_by: str
    overrides: str = ""
    prefix: str = ""
    stream: str = ""
    shards: int = 0
    settings_hash: str = ""
    version: str = ""
    files: tuple[str, ...] = ()
    short_tokens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnsetCompany:
    """A source without a company, where `setting` makes a name of it: `filled` is that name. `set_by` is who set it."""

    source: str
    setting: str
    filled: str
    set_by: str = ""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that takes unverified requests from everywhere, at a listener that others reach. `set_by` is who allowed it."""

    name: str
    listener: str
    set_by: str
