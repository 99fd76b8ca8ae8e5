"""Asks Redis which of our rights are missing, and which of our keys hold another kind of value.

Redis 7 and later answer without running anything (lua/probe/check_rights.lua). For an older server each command is run
once on a key of its own: what is not allowed is refused before anything else is looked at.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from rfctl.errors import CredentialsRefusedError, KeyTakenError, ReplyError, RfctlError, RightsMissingError
from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.rights import Rights, build_form, grant_command

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_ON_CHANNELS = frozenset({"PUBLISH", "SUBSCRIBE"})
_NOT_RUN = frozenset({"BGREWRITEAOF", "PUBLISH", "SCRIPT LOAD", "SELECT", "SUBSCRIBE"})
"""What is not tried on an older server, as it would do something, or is used anyway."""
_MAX_ARGUMENTS = 5
_CANNOT_TELL = "NOCHECK"


@dataclass(frozen=True, slots=True)
class MissingRight:
    """One right that we lack: what for a person (`command HSET`), the rules that grant it, and whether we can do without."""

    name: str
    grants: tuple[str, ...]
    is_useful_only: bool = False
    command: str = ""


async def find_missing_rights(connection: Connection, rights: Rights) -> list[MissingRight]:
    """Return the rights that are missing, as far as Redis tells. Raises RfctlError."""
    try:
        return await _ask(connection, rights)
    except ReplyError as problem:
        if problem.code != _CANNOT_TELL:
            raise
    return await _try_each(connection, rights)


async def _ask(connection: Connection, rights: Rights) -> list[MissingRight]:
    commands = [command for command in rights.commands if command not in _ON_CHANNELS]
    keys = [(key.pattern, example) for key in rights.keys for example in key.examples]
    channels = [command for command in rights.commands if command in _ON_CHANNELS]
    wanted = {
        "commands": [build_form(command) for command in commands],
        "keys": [example for _, example in keys],
        "channels": [[command, rights.channel] for command in channels],
    }
    answer = await connection.ask_script("check_rights", [msgspec.json.encode(wanted)])
    denied = [[replies.integer(place) - 1 for place in replies.array(part)] for part in replies.array(answer)]
    return [
        *(_missing_command(rights, commands[place]) for place in denied[0]),
        *_missing_keys([keys[place] for place in denied[1]]),
        *(_missing_channel(rights, channels[place]) for place in denied[2]),
    ]


def _missing_command(rights: Rights, command: str) -> MissingRight:
    useful = command not in rights.needed
    return MissingRight(f"command {command}", (grant_command(command),), useful, command)


def _missing_keys(denied: Sequence[tuple[str, str]]) -> list[MissingRight]:
    patterns = dict(reversed(denied))
    return [
        MissingRight(f"keys {pattern} ({example} is denied)", (f"~{pattern}",))
        for pattern, example in patterns.items()
    ]


def _missing_channel(rights: Rights, command: str) -> MissingRight:
    grants = (grant_command(command), *(f"&{channel}" for channel in rights.channels))
    useful = command not in rights.needed
    return MissingRight(f"command {command} on channel {rights.channel}", grants, useful, command)


async def _try_each(connection: Connection, rights: Rights) -> list[MissingRight]:
    """Run each command on a key that is ours alone, and look at each key. It is deleted at the end."""
    own = next(key.pattern for key in rights.keys if key.pattern.endswith("rfctl:*"))
    scratch = f"{own.removesuffix('*')}probe:{secrets.token_hex(4)}"
    missing: list[MissingRight] = []
    for command in rights.commands:
        words = [scratch if word == "\1" else word for word in build_form(command)]
        if command not in _NOT_RUN and await _is_denied(connection, words):
            missing.append(_missing_command(rights, command))
    await _is_denied(connection, ["DEL", scratch])
    denied = [
        (key.pattern, example)
        for key in rights.keys
        for example in key.examples
        if "command EXISTS" not in {right.name for right in missing}
        and await _is_denied(connection, ["EXISTS", example])
    ]
    return missing + _missing_keys(denied)


async def _is_denied(connection: Connection, words: Sequence[str]) -> bool:
    """Run a command, with as many more arguments as it takes: Redis counts them before it looks at rights."""
    for more in range(_MAX_ARGUMENTS):
        try:
            await connection.call(*words, *["1"] * more)
        except CredentialsRefusedError:
            return True
        except KeyTakenError:
            return False
        except ReplyError as problem:
            if "wrong number of arguments" not in problem.fact:
                return False  # it was allowed, and its arguments mean nothing
        else:
            return False
    return False


def check_needed(missing: Sequence[MissingRight], address: str, user: str, set_by: str) -> None:
    """Raise RightsMissingError if rights are missing that messages depend on."""
    needed = [right for right in missing if not right.is_useful_only]
    if needed:
        raise RightsMissingError(
            f"Redis at {address} does not allow us: {', '.join(right.name for right in needed)}",
            set_by=set_by,
            next=f"{build_grant(user, missing)} (`rfctl export acl` prints all that rfctl needs)",
        )


def build_grant(user: str, missing: Sequence[MissingRight]) -> str:
    """Return the line that mends missing rights."""
    grants = dict.fromkeys(grant for right in missing for grant in right.grants)
    return f"ACL SETUSER {user} {' '.join(grants)}"


def find_user(url: str) -> str:
    """Return the user in a URL of Redis, `default` without one."""
    with contextlib.suppress(ValueError):
        return unquote(urlsplit(url).username or "") or "default"
    return "default"


async def check_key_types(connection: Connection, shard: ShardKeys, sinks: Sequence[str] = ()) -> None:
    """Check that each key of ours on a shard is missing or of its own kind. Raises KeyTakenError, and RfctlError."""
    kinds = list_key_types(shard, sinks)
    answers = await connection.calls([("TYPE", key) for key in kinds], short=True)
    for (key, kind), answer in zip(kinds.items(), answers, strict=True):
        if replies.text(answer) not in ("none", kind):
            raise _describe_taken(connection, key, replies.text(answer), kind)


def list_key_types(shard: ShardKeys, sinks: Sequence[str] = ()) -> dict[str, str]:
    """Return the keys of a shard, and those that no shard has, with the kind of value that each holds."""
    common = shard.common
    kinds = {
        shard.due: "zset", shard.held: "zset", shard.held_notes: "hash", shard.out: "stream", shard.totals: "hash",
        shard.clock: "hash", shard.dead: "stream",
        common.daemons: "hash", common.layout: "string", common.stream_name: "string", common.instance_id: "string",
        common.quarantine: "stream", common.paused: "hash",
    }  # fmt: skip
    for name in sinks:
        keys = shard.sink(name)
        kinds |= {
            keys.waiting: "zset", keys.retry: "zset", keys.attempts: "hash", keys.bodies: "hash", keys.lease: "string",
        }  # fmt: skip
    return kinds


def _describe_taken(connection: Connection, key: str, kind: str, wanted: str) -> RfctlError:
    return KeyTakenError(
        f"{key} at {connection.address.shown()} holds a {kind}, and rfctl keeps a {wanted} there",
        set_by=connection.address.set_by,
        next=f"find out who writes it (`redis-cli object idletime {key}`), and RENAME it away; or use another database, "
        "or redis.prefix",
    )
