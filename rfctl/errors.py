"""Each failure by name, with the exit status that scripts may rely on and the hint that a person needs.

An error says the fact in one line; `set by`, `overrides` and `next` follow when they are known. Whoever raises
one of these has lost nothing: what was acknowledged is in Redis.
"""

from __future__ import annotations

from collections.abc import Iterable

OK = 0
ANSWER_IS_NO = 1
USAGE = 2
NOTHING_FOUND = 3
UNREACHABLE = 69
BUG = 70
CANNOT_WRITE = 73
TEMPORARY = 75
REFUSED_CREDENTIALS = 77
BAD_SETTINGS = 78
INTERRUPTED = 130

FLAG = "flag "
"""How `set by` begins for a value from the command line."""

EXIT_STATUSES: dict[int, str] = {
    OK: "done",
    ANSWER_IS_NO: "ran, and the answer is no",
    USAGE: "the command line is wrong",
    NOTHING_FOUND: "nothing found",
    UNREACHABLE: "Redis or the daemon cannot be reached",
    BUG: "a bug in rfctl",
    CANNOT_WRITE: "a file cannot be written",
    TEMPORARY: "cannot be done now; try again",
    REFUSED_CREDENTIALS: "Redis refused the password or the user",
    BAD_SETTINGS: "the settings, or those of Redis, are wrong",
    INTERRUPTED: "interrupted",
}

CANNOT_NOW: dict[str, str] = {
    "LOADING": "wait: it is reading its data from disk; `redis-cli info persistence` says how long",
    "OOM": "look at `redis-cli info memory`, and raise maxmemory",
    "READONLY": "point redis.url at its master; `redis-cli info replication` names it",
    "MISCONF": "free or mend its disk; df, its log and `redis-cli info persistence` say what failed",
    "BUSY": "a script runs too long: `redis-cli script kill` ends one that has written nothing",
    "NOREPLICAS": "start its replicas again (`redis-cli info replication`), or lower min-replicas-to-write",
    "MASTERDOWN": "start the master of this replica, or point redis.url at one that is up",
    "CLUSTERDOWN": "the cluster has lost some of its slots: look at `redis-cli cluster info` and `cluster nodes`",
    "TRYAGAIN": "wait until the cluster has moved these keys; `redis-cli cluster nodes` shows it",
    "UNBLOCKED": "it has just become a replica, or a master: `redis-cli info replication` says what it is now",
}
"""What Redis answers when it is there and cannot serve a call now → what the operator does next."""


class RfctlError(Exception):
    """A failure that a person can act on.

    `fact` is one line. `set_by`, `overrides` and `next` are lines for the operator, or empty.
    """

    exit_status = BUG

    def __init__(self, fact: str, *, next: str = "", set_by: str = "", overrides: str = "") -> None:  # noqa: A002
        super().__init__(fact)
        self.fact = fact
        self.set_by = set_by
        self.overrides = overrides
        self.next = next

    def details(self) -> list[tuple[str, str]]:
        """Return the labelled lines that follow the fact; empty ones are left out."""
        lines = [("set by", self.set_by), ("overrides", self.overrides), ("next", self.next)]
        return [(label, text) for label, text in lines if text]


class SettingsError(RfctlError):
    """One or more settings are wrong; `problems` has one line each."""

    exit_status = BAD_SETTINGS
    noun = "setting"

    def __init__(self, problems: list[str], *, next: str = "") -> None:  # noqa: A002
        count = len(problems)
        super().__init__(f"{count} {self.noun}{'s are' if count != 1 else ' is'} wrong", next=next)
        self.problems = problems


class CommandLineError(SettingsError):
    """An option of the command line has a value that its setting cannot have."""

    exit_status = USAGE
    noun = "command-line option"


def wrong_settings(problems: list[str], said_by: Iterable[str], *, next: str) -> SettingsError:  # noqa: A002
    """Return the error for wrong settings: the command line's own only if nobody else said a wrong one."""
    only_flags = all(who.startswith(FLAG) for who in said_by)
    return (CommandLineError if only_flags else SettingsError)(problems, next=next)


class RedisUnreachableError(RfctlError):
    """Nothing answers, or what answers is not a Redis."""

    exit_status = UNREACHABLE


class RedisCannotNowError(RfctlError):
    """Redis is there and says not now: loading, out of memory, read-only, busy, its disk is full."""

    exit_status = TEMPORARY


class CredentialsRefusedError(RfctlError):
    """Redis wants a password or user, or another one than ours, or our user may not do this."""

    exit_status = REFUSED_CREDENTIALS


class EvictingRedisError(RfctlError):
    """A Redis that deletes keys when memory is short would delete messages."""

    exit_status = BAD_SETTINGS


class OtherShardsError(RfctlError):
    """This Redis is laid out for another number of shards: we would look past its batches."""

    exit_status = BAD_SETTINGS


class KeyTakenError(RfctlError):
    """A key of ours holds a value of another kind, written by somebody else."""

    exit_status = BAD_SETTINGS


class StoreError(RfctlError):
    """The embedded server could not be started or found."""

    exit_status = UNREACHABLE


class ListenError(RfctlError):
    """The listener's address is none, or not for us: it stays so until the settings change."""

    exit_status = BAD_SETTINGS


class CannotListenNowError(ListenError):
    """The listener's address is another's, or is not there yet: it may be had later."""

    exit_status = TEMPORARY


class CannotWriteError(RfctlError):
    """A file that the command was to make cannot be made."""

    exit_status = CANNOT_WRITE


class NoDaemonError(RfctlError):
    """The command needs a living daemon, and there is none."""

    exit_status = UNREACHABLE


class DaemonCannotNowError(RfctlError):
    """The daemon answers that it cannot take a message now."""

    exit_status = TEMPORARY


class DaemonRefusedError(RfctlError):
    """The daemon does not take what our settings say that it takes: it runs on other ones."""

    exit_status = BAD_SETTINGS


class NothingFoundError(RfctlError):
    """What was asked for does not exist."""

    exit_status = NOTHING_FOUND


class UsageError(RfctlError):
    """The command line asks for something that cannot be."""

    exit_status = USAGE


class BadRequestError(RfctlError):
    """A request that cannot be stored; `status` is what the sender is answered."""

    exit_status = ANSWER_IS_NO

    def __init__(self, fact: str, status: int = 400) -> None:
        super().__init__(fact)
        self.status = status


class OverloadedError(RfctlError):
    """More messages wait for Redis than the daemon will hold; the sender must come again."""

    exit_status = TEMPORARY
