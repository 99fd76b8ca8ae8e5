"""From the settings to the rights that rfctl needs in their Redis: its own keys, and what sinks fill there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from rfctl.assembly.store import build_keyspace
from rfctl.config.settings import Settings
from rfctl.store.keys import ShardKeys
from rfctl.store.rights import KeyRight, Rights, build_rights, escape_pattern

_KINDS = ("list", "stream")
_QUEUES: dict[str, tuple[str, ...]] = {
    "bullmq": (
        "DEL", "EVALSHA", "EXISTS", "GET", "HDEL", "HEXISTS", "HGET", "HMGET", "HMSET", "HSET", "INCR", "INFO", "LLEN",
        "LPOS", "LPUSH", "LRANGE", "LREM", "PERSIST", "PTTL", "RPUSH", "SADD", "SCARD", "SCRIPT LOAD", "SET", "SREM", "XADD",
        "XTRIM", "ZADD", "ZCARD", "ZRANGE", "ZREM", "ZSCORE",
    ),
    "rq": ("EVALSHA", "EXEC", "EXISTS", "EXPIRE", "HSET", "INFO", "LPUSH", "MULTI", "RPUSH", "SADD", "SCRIPT LOAD"),
    "celery": ("EXEC", "HELLO", "LLEN", "LPUSH", "MULTI", "PING", "SADD", "SMEMBERS"),
}  # fmt: skip
"""The commands that the libraries of queues send when they fill one."""

_OF_WORKERS = (
    "EVALSHA", "GET", "HDEL", "HGET", "HSET", "SCRIPT LOAD", "SELECT", "TIME", "XACK", "XADD", "XCLAIM", "XDEL",
    "XGROUP CREATE", "XGROUP DELCONSUMER", "XINFO CONSUMERS", "XINFO GROUPS", "XPENDING", "XRANGE", "XREAD", "XREADGROUP",
    "ZADD", "ZCARD", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZREM", "ZSCORE",
)  # fmt: skip
"""The commands that `rfctl.worker` sends."""


def list_destinations(settings: Settings) -> list[str]:
    """Return the templates of the keys that sinks fill in our Redis."""
    keys = [getattr(sink, "key", "") for sink in settings.sinks.values() if sink.type in _KINDS]
    return [key for key in keys if key]


def build_store_rights(settings: Settings, db: int) -> Rights:
    """Return the rights without which rfctl itself, but no library of a queue, cannot do its work in this database."""
    return build_rights(build_keyspace(settings), db, list_destinations(settings))


def build_all_rights(settings: Settings) -> Rights:
    """Return the rights that these settings need, those of queue libraries included where they use our Redis."""
    queues = list(_list_queues(settings))
    return build_rights(
        build_keyspace(settings),
        find_db(settings.redis.url),
        list_destinations(settings),
        more_patterns=[pattern for _, patterns in queues for pattern in patterns],
        more_commands=[command for kind, _ in queues for command in _QUEUES[kind]],
    )


def build_worker_rights(settings: Settings, group: str) -> Rights:
    """Return the rights that the workers of a group need, which use `rfctl.worker`: they see no pending message."""
    keyspace = build_keyspace(settings)
    tag, stream, prefix = "{*}:" if keyspace.shards else "", keyspace.output_stream, keyspace.prefix
    shard = ShardKeys(tag, escape_pattern(stream), escape_pattern(prefix))
    own = shard.worker(escape_pattern(group)).prefix + ":*"
    patterns = (shard.out, shard.common.layout, shard.common.stream_name, shard.dead, own)
    keys = tuple(KeyRight(pattern) for pattern in patterns)
    return Rights(keys, (), "", needed=_OF_WORKERS, useful=())


def _list_queues(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """Yield the type of each queue sink that uses our Redis, and its patterns of keys."""
    for sink in settings.sinks.values():
        url = getattr(sink, "url", "")
        if sink.type not in _QUEUES or not _is_same_server(url, settings.redis.url):
            continue
        queue = re.sub(r"\{\w+\}", "*", getattr(sink, "queue", ""))
        yield (
            sink.type,
            {
                "bullmq": [f"{getattr(sink, 'prefix', 'bull')}:*"],
                "rq": ["rq:*"],
                "celery": ["_kombu*", f"{queue or 'celery'}*"],
            }[sink.type],
        )


def _is_same_server(url: str, ours: str) -> bool:
    """Say whether a queue's URL is empty, or names the server and the user of ours."""
    try:
        theirs, own = urlsplit(url), urlsplit(ours)
        return not url or (theirs.hostname, theirs.port, theirs.username) == (
            own.hostname, own.port, own.username,
        )  # fmt: skip
    except ValueError:
        return False


def find_db(url: str) -> int:
    """Return the number of the database in a URL; 0 where there is none."""
    try:
        path = unquote(urlsplit(url).path).strip("/")
    except ValueError:
        return 0
    return int(path) if path.isdigit() else 0
