"""The rights in Redis that rfctl needs: commands, key patterns and channels, and the line that grants them.

The commands of the scripts are read from the scripts. Those that Python sends itself are listed here, and a test holds
the list to every call. Nothing else lists commands: the check at the start, `rfctl export acl` and the manual use this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.scripts import ScriptLibrary, list_verbs

CALLS = frozenset({
    "BGREWRITEAOF", "CONFIG GET", "DEL", "EVALSHA", "EXISTS", "EXPIRE", "GET", "HDEL", "HEXISTS", "HGET", "HGETALL",
    "HINCRBY", "HLEN", "HMGET", "HSCAN", "HSET", "INFO", "LLEN", "MEMORY USAGE", "PTTL", "SCAN", "SCRIPT LOAD",
    "SELECT", "SET", "SUBSCRIBE", "TIME", "TYPE", "XADD", "XDEL", "XINFO CONSUMERS", "XINFO GROUPS", "XLEN",
    "XPENDING", "XRANGE", "XREAD", "XREVRANGE", "ZADD", "ZCARD", "ZCOUNT", "ZMSCORE", "ZRANGE", "ZRANGEBYLEX",
    "ZRANGEBYSCORE", "ZSCAN", "ZSCORE",
})  # fmt: skip
"""The commands that Python sends itself; redis-py sends SUBSCRIBE, and SELECT too."""

USEFUL: Mapping[str, str] = {
    "INFO": "which Redis this is, its memory, its role and whether it evicts are not seen",
    "CONFIG GET": "why Redis refuses writes is seen in part only",
    "MEMORY USAGE": "the size of a stream that nobody reads is not seen",
    "BGREWRITEAOF": "a torn append-only file is not rewritten after a restart of Redis",
    "SCAN": "batches that stand in no index are not found",
    "LREM": "`rfctl adopt` takes in no list",
    "SUBSCRIBE": "`rfctl tail` cannot follow",
    "PUBLISH": "`rfctl tail` sees nothing",
    "PUBSUB NUMSUB": "`rfctl tail` sees nothing",
}
"""What is missing without a right that no message depends on."""

_FORMS: Mapping[str, tuple[str, ...]] = {
    "CONFIG GET": ("maxmemory",),
    "EVALSHA": ("", "1", "\1"),
    "PUBSUB NUMSUB": (),
    "RENAMENX": ("\1", "\1"),
    "SCAN": ("0",),
    "SCRIPT LOAD": ("return 1",),
    "SELECT": ("0",),
    "XREAD": ("COUNT", "1", "STREAMS", "\1", "0"),
    "XREADGROUP": ("GROUP", "g", "c", "COUNT", "1", "STREAMS", "\1", ">"),
    **dict.fromkeys(("BGREWRITEAOF", "INFO", "TIME", "PUBLISH", "SUBSCRIBE"), ()),
}
"""The arguments of a command by which a server finds its keys: U+0001 stands for a key. All others begin with one."""
PLACEHOLDER = "PASSWORD"
"""What stands in a printed line for the password that an operator chooses."""
_CALL = re.compile(r"redis\.(p?call)\(\s*'([A-Z]+)'(?:\s*,\s*'([A-Z]+)')?")
_CONTAINERS = ("CLIENT", "CONFIG", "MEMORY", "PUBSUB", "SCRIPT", "XGROUP", "XINFO")
_GLOB = re.compile(r"([\[\]?*\\])")


def name_command(command: str, *arguments: str) -> str:
    """Return a command's name as a right has it: with its subcommand, if it has any."""
    return f"{command} {arguments[0]}" if command in _CONTAINERS and arguments else command


def find_commands(text: str) -> Iterable[tuple[str, bool]]:
    """Yield each command that a script's text calls, and whether a failure of it is caught."""
    for how, command, second in _CALL.findall(text):
        yield name_command(command, *([second] if second else [])), how == "pcall"


@cache
def _list_script_commands() -> Mapping[str, bool]:
    """Return the commands of all scripts, and whether the failure of each is caught wherever it is called."""
    library = ScriptLibrary()
    commands: dict[str, bool] = {}
    for verb in list_verbs():
        for command, is_caught in find_commands(library.script(verb).text):
            commands[command] = commands.get(command, True) and is_caught
    return commands


def list_needed() -> list[str]:
    """Return the commands without which a message can be lost, doubled or stuck."""
    in_scripts = _list_script_commands()
    return sorted(
        {command for command, is_caught in in_scripts.items() if not is_caught or command not in USEFUL}
        | CALLS.difference(USEFUL)
    )


def list_useful() -> list[str]:
    """Return the commands that no message depends on."""
    return sorted((CALLS | set(_list_script_commands())).difference(list_needed()))


def build_form(command: str) -> list[str]:
    """Return a command as words, with U+0001 in the place of a key."""
    return [*command.split(" "), *_FORMS.get(command, ("\1",))]


@dataclass(frozen=True, slots=True)
class KeyRight:
    """A pattern of keys, as an ACL writes it, and keys under it that are used."""

    pattern: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user of Redis must be allowed. `needed` and `useful` are names of commands, such as `XINFO GROUPS`."""

    keys: tuple[KeyRight, ...]
    channels: tuple[str, ...]
    channel: str
    needed: tuple[str, ...] = field(default_factory=lambda: tuple(list_needed()))
    useful: tuple[str, ...] = field(default_factory=lambda: tuple(list_useful()))

    @property
    def commands(self) -> list[str]:
        """All commands, needed or useful."""
        return sorted({*self.needed, *self.useful})

    def grant(self, user: str, *, password: str = PLACEHOLDER) -> str:
        """Return the line that makes a user with these rights and no others."""
        words = [f"~{key.pattern}" for key in self.keys] + [f"&{channel}" for channel in self.channels]
        commands = [grant_command(command) for command in self.commands]
        return " ".join(["ACL SETUSER", user, "reset on", f">{password}", *words, "-@all", *commands])


def grant_command(command: str) -> str:
    """Return the rule that allows a command."""
    return "+" + command.lower().replace(" ", "|")


def build_rights(
    keyspace: Keyspace,
    db: int,
    destinations: Sequence[str] = (),
    *,
    more_patterns: Sequence[str] = (),
    more_commands: Iterable[str] = (),
) -> Rights:
    """Return the rights for these keys. `destinations` are templates of the keys that sinks fill, such as `bot:{phone}`.

    `more_patterns` and `more_commands` are those of queue libraries that use the same Redis.
    """
    shard, channel = keyspace.all()[0], keyspace.common.events_channel(db)
    every_shard = ShardKeys(
        "{*}:" if keyspace.shards else "", escape_pattern(keyspace.output_stream), keyspace.prefix
    )
    keys = [KeyRight(f"{keyspace.prefix}{name}*", examples) for name, examples in _own_examples(shard)]
    if not any(_is_under(key.pattern, shard.out) for key in keys):
        keys.append(KeyRight(every_shard.out, (shard.out,)))
    for template in destinations:
        pattern, example = (re.sub(r"\{\w+\}", text, template) for text in ("\0", "rfctl-probe"))
        pattern = every_shard.destination(escape_pattern(pattern).replace("\0", "*"))
        keys.append(KeyRight(pattern, (shard.destination(example),)))
    keys += [KeyRight(pattern) for pattern in more_patterns]
    unique = tuple({key.pattern: key for key in keys}.values())
    needed = tuple(sorted({*list_needed(), *more_commands}))
    return Rights(unique, (channel.rpartition(":")[0] + ":*",), channel, needed)


def _own_examples(shard: ShardKeys) -> list[tuple[str, tuple[str, ...]]]:
    """Return the beginnings of rfctl's own keys, each with keys of the kinds that are used."""
    common, sink = shard.common, shard.sink("rfctl-probe")
    others = (
        shard.due, shard.held, shard.totals, shard.clock, shard.dead, shard.log, shard.out, shard.seen_prefix + "rfctl-probe",
        common.daemons, common.layout, common.stream_name, common.instance_id, common.quarantine, common.paused,
        common.alias("rfctl-probe", ""), common.logout_prefix + "rfctl-probe", sink.waiting, sink.lease,
    )  # fmt: skip
    own = tuple(key for key in others if _is_under(f"{shard.prefix}rfctl:*", key))
    return [
        ("rapid-fire:", (shard.batch_prefix + "rfctl-probe",)),
        ("last-msg:", (shard.last_prefix + "rfctl-probe",)),
        ("rfctl:", own),
    ]


def _is_under(pattern: str, key: str) -> bool:
    """Say whether a key is under a pattern that has its only star at the end."""
    return key.startswith(pattern.removesuffix("*"))


def escape_pattern(text: str) -> str:
    """Return a literal text as a pattern; no pattern of an ACL has white space."""
    return re.sub(r"\s", "?", _GLOB.sub(r"\\\1", text))
