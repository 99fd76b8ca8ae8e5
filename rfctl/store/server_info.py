"""Parses INFO: which server this is, and whether (and why) it refuses writes now.

A daemon says that it is alive by writing into Redis. Where writes are refused, its silence says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rfctl.store import replies

REDIS_SETTINGS = ("save", "stop-writes-on-bgsave-error", "min-replicas-to-write")
"""The settings that `write_refusals` needs and INFO leaves out. CONFIG GET has them; a hosted Redis may forbid it."""

_RIGHT_VALKEY = (9, 1)
"""The first Valkey that cuts an append-only file before a torn transaction. No Redis was seen that does."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Which Redis this is. `run_id` changes with every start of the server; memory policy as it says.

    `set_by` is who set its address, `overrides` the values that lost against it, "" for none.
    What Redis does not tell (a hosted one may forbid INFO, or leave fields out) is "?", and None for `aof`.
    `master` is host:port of the master if this is a replica, else "".
    """

    where: str
    db: int
    run_id: str
    product: str
    version: str
    eviction: str
    aof: bool | None
    set_by: str
    overrides: str = ""
    master: str = ""
    is_cluster_node: bool = False

    @property
    def may_evict_messages(self) -> bool:
        """Whether it deletes keys that do not expire when its memory is full. Those that expire hold no message."""
        return self.eviction.startswith("allkeys-")

    @property
    def replays_torn_aof(self) -> bool:
        """Whether it replays half a script at its second start after a crash, unless the file is rewritten between."""
        return self.aof is True and (self.product != "Valkey" or _as_numbers(self.version) < _RIGHT_VALKEY)

    def line(self) -> str:
        """Return it for a person, with its whole URL."""
        front, _, query = self.where.partition("?")
        names_db = front.endswith(f"/{self.db}") or f"db={self.db}" in query.split("&")
        where = self.where if names_db else f"{self.where} db {self.db}"
        return f"{where} ({self.product} {self.version}, run {self.run_id[:8]})"

    @property
    def place(self) -> str:
        """Where it is, in the few words that a screen has room for: host:port/db, or a socket and its db.

        A user other than the default one stands before it, and the scheme where it says TLS.
        """
        scheme, _, rest = self.where.rpartition("://")
        front, at, place = rest.rpartition("@")
        name, colon, _ = front.partition(":")
        user = f"{name}@" if at and colon and name not in ("", "default") else ""
        place = place.partition("?")[0]
        if scheme == "unix":
            return f"{user}{place} db {self.db}"
        tls = "rediss://" if scheme in ("rediss", "valkeys") else ""
        return f"{tls}{user}{place.partition('/')[0]}/{self.db}"


@dataclass(frozen=True, slots=True)
class WriteRefusal:
    """Why writes are refused: the code that Redis answers them with, the cause, and what to do next."""

    code: str
    why: str

    @property
    def next(self) -> str:
        """What the operator does."""
        from rfctl.store.reply_errors import CANNOT_NOW  # noqa: PLC0415 - redis-py is imported when it is needed

        return CANNOT_NOW[self.code]


def parse_info(answer: bytes) -> dict[str, str]:
    """Return the fields of INFO."""
    lines = replies.text(answer).splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def build_server_info(
    info: Mapping[str, str], *, where: str, db: int, set_by: str, overrides: str = ""
) -> ServerInfo:
    """Return which Redis has this INFO."""
    return ServerInfo(
        where=where,
        db=db,
        run_id=info.get("run_id", "?"),
        product="Valkey" if "valkey_version" in info else "Redis",
        version=info.get("valkey_version") or info.get("redis_version", "?"),
        eviction=info.get("maxmemory_policy", "?"),
        aof={"1": True, "0": False}.get(info.get("aof_enabled", "")),
        set_by=set_by,
        overrides=overrides,
        master=_master(info),
        is_cluster_node=info.get("cluster_enabled") == "1",
    )


def _master(info: Mapping[str, str]) -> str:
    return (
        f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        if info.get("role") == "slave"
        else ""
    )


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def find_write_refusals(info: Mapping[str, str], settings: Mapping[str, str]) -> list[WriteRefusal]:
    """Return every reason for which this Redis refuses writes now; `settings` are its REDIS_SETTINGS that are known."""
    causes = (("READONLY", _replica(info)), ("OOM", _full(info)), ("NOREPLICAS", _alone(info, settings)))
    refusals = [WriteRefusal(code, why) for code, why in causes if why]
    return refusals + [WriteRefusal("MISCONF", why) for why in _unsaved(info, settings)]


def _replica(info: Mapping[str, str]) -> str:
    if info.get("role") != "slave" or info.get("slave_read_only") == "0":
        return ""
    lost = ", which it has lost" if info.get("master_link_status") == "down" else ""
    return f"it is a replica of {_master(info)}{lost}"


def _full(info: Mapping[str, str]) -> str:
    max_bytes = _number(info, "maxmemory")
    used = _number(info, "used_memory") - _number(info, "mem_not_counted_for_evict")
    makes_room = info.get("maxmemory_policy", "").startswith("allkeys-")
    if not max_bytes or used <= max_bytes or makes_room:
        return ""
    return f"its memory is full: {info.get('used_memory_human')} used, maxmemory is {info.get('maxmemory_human')}"


def _alone(info: Mapping[str, str], settings: Mapping[str, str]) -> str:
    wanted, good = _number(settings, "min-replicas-to-write"), _number(info, "min_slaves_good_slaves")
    counts = "min_slaves_good_slaves" in info and info.get("role") == "master"
    return f"{good} of the {wanted} replicas that it must have are there" if counts and good < wanted else ""


def _unsaved(info: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[str]:
    stops = settings.get("stop-writes-on-bgsave-error", "yes") == "yes" and settings.get("save") != ""
    if info.get("rdb_last_bgsave_status") == "err" and stops:
        yield "its last save to disk (RDB) failed"
    if info.get("aof_last_write_status") == "err" and info.get("aof_enabled") == "1":
        yield "its last write to the AOF failed"


def _number(facts: Mapping[str, str], name: str) -> int:
    value = facts.get(name, "0")
    return int(value) if value.isdigit() else 0
