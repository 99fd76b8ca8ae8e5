"""Findings about the Redis server: what it refuses, what it may delete, and what it does not show."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.store import ServerInfo
from rfctl.store.probe import MissingRight, build_grant
from rfctl.store.rights import USEFUL


def find_refusals(snapshot: Snapshot) -> Iterator[Finding]:
    """Find why Redis refuses writes."""
    for refusal in snapshot.write_refusals:
        yield Finding("writes_refused", "error", "", f"Redis refuses writes: {refusal.why}", refusal.next)


def find_server_faults(server: ServerInfo, *, allow_eviction: bool = False) -> Iterator[Finding]:
    """Find settings of Redis by which messages can be lost, and what cannot be seen of them."""
    if server.eviction == "?":
        fact = f"Redis at {server.where} does not show whether it evicts keys when its memory is full"
        fix = (
            "allow INFO to our user; or ask its operator: maxmemory-policy must be noeviction, or volatile-…"
        )
        yield Finding("redis_unseen", "warning", "", fact, fix)
    elif server.may_evict_messages and not allow_eviction:
        fact = f"Redis deletes messages when its memory is full: maxmemory-policy is {server.eviction}"
        yield Finding(
            "eviction_enabled",
            "error",
            "",
            fact,
            "CONFIG SET maxmemory-policy noeviction (and in redis.conf)",
        )
    elif server.eviction.startswith("volatile-"):
        fact = (
            f"Redis forgets what expires when its memory is full: maxmemory-policy is {server.eviction}; so the second ids "
            "of people may go, and ids that an earlier rfctl has seen; messages do not expire, and stay"
        )
        yield Finding("eviction_partial", "warning", "", fact, "CONFIG SET maxmemory-policy noeviction")
    if server.aof is False:
        fact = "Redis keeps no append-only file: a crash of it loses messages"
        yield Finding(
            "persistence_disabled", "warning", "", fact, "CONFIG SET appendonly yes (and in redis.conf)"
        )


def find_torn_file(server: ServerInfo, last_run: str) -> Iterator[Finding]:
    """Find that Redis has started again and that no daemon could have its append-only file rewritten."""
    if last_run and server.run_id not in ("?", last_run) and server.replays_torn_aof:
        fact = (
            f"Redis has started again, and {server.product} {server.version} may keep a torn end in its append-only file: "
            "after another start messages may be missing or doubled"
        )
        yield Finding(
            "aof_torn", "warning", "", fact, "redis-cli BGREWRITEAOF, or allow BGREWRITEAOF to our user"
        )


def find_missing_rights(missing: list[MissingRight], user: str) -> Iterator[Finding]:
    """Find rights that are missing and that no message depends on."""
    for right in missing:
        if right.is_useful_only:
            fact = f"Redis does not allow us {right.name}: {USEFUL[right.command]}"
            yield Finding("right_missing", "warning", right.command, fact, build_grant(user, [right]))


def find_emptying(totals: dict[str, int], key: str) -> Iterator[Finding]:
    """Find that somebody has emptied this Redis while daemons ran; `key` is the hash of totals."""
    if totals.get("emptied"):
        fact = "somebody emptied this Redis (FLUSHALL, FLUSHDB) while a daemon ran: what was pending is lost"
        yield Finding("redis_emptied", "error", "", fact, f"find out who; then redis-cli HDEL {key} emptied")
