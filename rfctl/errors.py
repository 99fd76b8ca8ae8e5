"""Each failure by name, with the exit status that scripts may rely on and the hint that a person needs.

An error says the fact in one line; `set by`, `overrides` and `next` follow when they are known. No error loses a
message: what was acknowledged is in Redis.
"""

from __future__ import annotations

import sys
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
    CANNOT_WRITE: "a file, or the answer of a command, cannot be written",
    TEMPORARY: "cannot be done now; try again",
    REFUSED_CREDENTIALS: "Redis refused the password or the user",
    BAD_SETTINGS: "the settings, or those of Redis, are wrong",
    INTERRUPTED: "interrupted",
}


class RfctlError(Exception):
    """A failure with what a person needs to act on it.

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
    """Some settings are wrong; `problems` has a line for each."""

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


def wrong_settings(problems: list[str], set_by: Iterable[str], *, next: str) -> SettingsError:  # noqa: A002
    """Return the error for wrong settings. It is the command line's own error if every wrong value is from there."""
    only_flags = all(origin.startswith(FLAG) for origin in set_by)
    return (CommandLineError if only_flags else SettingsError)(problems, next=next)


class RedisUnreachableError(RfctlError):
    """Nothing answers, or what answers is not a Redis."""

    exit_status = UNREACHABLE


class RedisCannotNowError(RfctlError):
    """Redis answers and cannot serve a call now: it loads its data, is read-only or busy, or has no room.

    `code` is the word with which Redis begins that answer, or "".
    """

    exit_status = TEMPORARY

    def __init__(
        self,
        fact: str,
        *,
        code: str = "",
        next: str = "",  # noqa: A002
        set_by: str = "",
        overrides: str = "",
    ) -> None:
        super().__init__(fact, next=next, set_by=set_by, overrides=overrides)
        self.code = code


class OlderDaemonError(RedisCannotNowError):
    """A daemon of an older layout is alive: the data cannot be taken along before it ends."""


class CanaryError(RfctlError):
    """The canary's message did not come through, although Redis has answered no error."""

    exit_status = TEMPORARY


class ReplyError(RfctlError):
    """Redis answered an error for which there is no class of its own. `code` is the word that it begins with."""

    def __init__(self, fact: str, *, code: str, set_by: str = "") -> None:
        super().__init__(fact, set_by=set_by)
        self.code = code


class GroupMissingError(ReplyError):
    """A consumer group is missing: somebody has deleted it, or its stream, or everything."""


class CredentialsRefusedError(RfctlError):
    """Redis wants another password or user than ours, or our user may not do this."""

    exit_status = REFUSED_CREDENTIALS


class RightsMissingError(CredentialsRefusedError):
    """Our user of Redis may not do something that messages depend on."""


class ClusterNodeError(RfctlError):
    """This Redis is one node of a cluster, and a URL names one server."""

    exit_status = BAD_SETTINGS


class SettingsConflictError(RfctlError):
    """A living daemon on this Redis runs on settings that ours do not go with."""

    exit_status = BAD_SETTINGS


class EvictingRedisError(RfctlError):
    """This Redis deletes keys when its memory is full: it would delete messages."""

    exit_status = BAD_SETTINGS


class OtherLayoutError(RfctlError):
    """This Redis is laid out otherwise than our settings say: rfctl would not see its batches or its deliveries."""

    exit_status = BAD_SETTINGS


class KeyTakenError(RfctlError):
    """A key of ours holds a value of another kind, which another program wrote."""

    exit_status = BAD_SETTINGS


class EmbeddedServerError(RfctlError):
    """The embedded server could not be started or found."""

    exit_status = UNREACHABLE


class ListenError(RfctlError):
    """The listener's address is invalid or not permitted; retrying cannot help."""

    exit_status = BAD_SETTINGS


class CannotListenNowError(ListenError):
    """The listener's address is in use, or is not there yet; retrying may help."""

    exit_status = TEMPORARY


class CannotWriteError(RfctlError):
    """The command cannot write its file, or its answer."""

    exit_status = CANNOT_WRITE


class NoDaemonError(RfctlError):
    """The command needs a living daemon, and there is none."""

    exit_status = UNREACHABLE


class DaemonCannotNowError(RfctlError):
    """The daemon answers that it cannot take a message now."""

    exit_status = TEMPORARY


class DaemonRefusedError(RfctlError):
    """The daemon rejects a request that our settings allow: it runs on other settings."""

    exit_status = BAD_SETTINGS


class NothingFoundError(RfctlError):
    """Nothing matches what the command asks for."""

    exit_status = NOTHING_FOUND


class BatchHeldError(RfctlError):
    """The batch is held: a person on our side has taken over."""

    exit_status = ANSWER_IS_NO


class UsageError(RfctlError):
    """The command line asks for something that cannot be."""

    exit_status = USAGE


class BadRequestError(RfctlError):
    """A request that is rejected; `status` is the HTTP status of the answer."""

    exit_status = ANSWER_IS_NO

    def __init__(self, fact: str, status: int = 400) -> None:
        super().__init__(fact)
        self.status = status


class OverloadedError(RfctlError):
    """More messages wait for Redis than the daemon accepts; the sender must try again."""

    exit_status = TEMPORARY


def write_install_line(extra: str) -> str:
    """Return the command that installs an extra into this environment: from the folder that rfctl came from, else from an index."""
    import json  # noqa: PLC0415 - only who lacks an extra needs any of this
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415

    try:
        origin = json.loads(distribution("rfctl").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    url = urlsplit(origin.get("url", ""))
    what = unquote(url.path) if url.scheme == "file" and "dir_info" in origin else "rfctl"
    return f"{sys.prefix}/bin/pip install '{what}[{extra}]'"
