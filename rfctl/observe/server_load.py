"""Findings about how the Redis server does: memory, clients, disk, how fast it answers. And about its clock."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.store import ServerFacts
from rfctl.text import counted, duration, human_bytes

_NEARLY = 0.85
_SLOW_MS = 20.0
_CLOCK_MS = 2000
_LOW_SHARE, _LOW_BYTES = 0.05, 2**30


def find_load(server: ServerFacts | None) -> Iterator[Finding]:
    """Find what will make Redis refuse or lose something soon."""
    if server is None:
        return
    yield from _find_shortage(server)
    if server.evicted_keys:
        fact = (
            f"Redis has evicted {counted(server.evicted_keys, 'key')} since its start, as its memory was full"
        )
        yield Finding(
            "keys_evicted", "warning", "", fact, "raise maxmemory; CONFIG SET maxmemory-policy noeviction"
        )
    if server.fsync == "no":
        fact = "Redis never calls fsync (appendfsync no): a crash of its host loses up to half a minute"
        yield Finding(
            "fsync_disabled", "warning", "", fact, "CONFIG SET appendfsync everysec (and in redis.conf)"
        )
    if server.last_save_failed or server.last_rewrite_failed:
        what = "save to disk (RDB)" if server.last_save_failed else "rewrite of its append-only file"
        fix = "its log says why; make room on its disk, then redis-cli BGREWRITEAOF, or BGSAVE"
        yield Finding("save_failed", "warning", "", f"the last {what} of Redis failed", fix)
    if server.median_ms > _SLOW_MS:
        fact = f"Redis takes {duration(server.median_ms)} to answer, in the median"
        fix = "redis-cli slowlog get; redis-cli --latency; a Redis nearer to the daemon"
        yield Finding("redis_slow", "warning", "", fact, fix)


def _find_shortage(server: ServerFacts) -> Iterator[Finding]:
    used, most = server.used_memory, server.max_memory
    if used is not None and most and _NEARLY * most < used <= most:
        fact = f"the memory of Redis is nearly full: {human_bytes(used)} of {human_bytes(most)}"
        yield Finding(
            "memory_low", "warning", "", fact, "raise maxmemory, or find who fills it: redis-cli --bigkeys"
        )
    clients, limit = server.clients, server.max_clients
    if clients is not None and limit and clients > _NEARLY * limit:
        fact = f"Redis has {counted(clients, 'client')}, and takes {limit}"
        yield Finding(
            "clients_low",
            "warning",
            "",
            fact,
            "raise maxclients, or find who connects: redis-cli CLIENT LIST",
        )


def find_clock_differences(examination: Examination) -> Iterator[Finding]:
    """Find clocks that differ from this host's by more than two seconds."""
    server = examination.server
    if server is not None and abs(server.ahead_ms) - server.doubt_ms > _CLOCK_MS:
        fact = f"the clock of Redis is {_describe(server.ahead_ms)} this host's"
        fix = "timedatectl on both hosts; let NTP set them. Signatures that have a time are judged by this host's"
        yield Finding("clock_differs", "warning", "", fact, fix)
    for receiver in examination.receivers or ():
        ahead_ms = receiver.ahead_ms
        if ahead_ms is not None and abs(ahead_ms) - receiver.doubt_ms > _CLOCK_MS:
            name = receiver.address.sink
            fact = f"sink {name}: the clock of {receiver.address.place} is {_describe(ahead_ms)} this host's"
            fix = "timedatectl on both hosts; a receiver that checks signatures may refuse what seems old"
            yield Finding("sink_clock_differs", "warning", name, fact, fix, receiver.address.set_by)


def _describe(ahead_ms: float) -> str:
    return f"{duration(abs(ahead_ms))} {'ahead of' if ahead_ms > 0 else 'behind'}"


def find_full_disk(examination: Examination) -> Iterator[Finding]:
    """Find a disk of Redis on this host that is nearly full."""
    disk = examination.disk
    if disk is not None and disk.free < min(_LOW_BYTES, _LOW_SHARE * disk.total):
        fact = f"the disk of Redis is nearly full: {human_bytes(disk.free)} free of {human_bytes(disk.total)} at {disk.folder}"
        yield Finding(
            "disk_low", "warning", "", fact, "make room there: without it Redis refuses every write"
        )
