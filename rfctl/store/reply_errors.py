"""Gives what redis-py or a socket raises our own name, with the step that mends it.

Redis begins an error with a code (`NOGROUP`, `OOM`). redis-py takes some codes out of the message, and Redis 6.2
hides the code of an error inside a script in the middle of it; `code_of` finds it in all of them.
"""

from __future__ import annotations

import re

from redis import exceptions as rx

from rfctl import errors
from rfctl.store.address import RedisAddress

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
"""Code with which Redis answers when it is there and cannot serve a call now → what the operator does next."""

_WITHOUT_CODE: dict[type[Exception], str] = {
    rx.BusyLoadingError: "LOADING",
    rx.OutOfMemoryError: "OOM",
    rx.ReadOnlyError: "READONLY",
    rx.MasterDownError: "MASTERDOWN",
    rx.ClusterDownError: "CLUSTERDOWN",
    rx.TryAgainError: "TRYAGAIN",
}
"""The errors whose code redis-py takes out of the message."""
_CREDENTIALS = ("NOAUTH", "WRONGPASS", "NOPERM")
_NOT_THE_MASTER = ("READONLY", "MASTERDOWN", "UNBLOCKED")
_OF_A_SCRIPT = re.compile(r": -([A-Z]+) ")
"""Where Redis 6.2 has the code of an error that a command inside a script was answered."""
_SCRIPT_DENIED = ("user executing the script can't", "ACL failure in script")
"""How Redis 7 and Valkey say, without a code, that a script's user may not run a command or reach a key."""


def code_of(problem: Exception) -> str:
    """Return the code with which Redis begins an error; for any other failure its first word."""
    message = _message_of(problem)
    inside = _OF_A_SCRIPT.search(message)
    if any(words in message for words in _SCRIPT_DENIED):
        return "NOPERM"
    return inside[1] if inside else _WITHOUT_CODE.get(type(problem)) or message.split(" ", 1)[0]


def is_not_the_master(problem: Exception) -> bool:
    """Say whether the server answers that it is a replica, as after a failover."""
    return code_of(problem) in _NOT_THE_MASTER


def explain_failure(problem: Exception, address: RedisAddress) -> errors.RfctlError:
    """Return our error for what redis-py or the socket raised."""
    message, code, where = _message_of(problem), code_of(problem), address.shown()
    denied = isinstance(problem, rx.AuthenticationError | rx.AuthorizationError | rx.NoPermissionError)
    if denied or code in _CREDENTIALS or "invalid username-password" in message:
        return _rejected(address, message)
    if code in CANNOT_NOW:
        fact = f"Redis at {where} cannot serve this now: {message}"
        return errors.RedisCannotNowError(fact, set_by=address.set_by, next=CANNOT_NOW[code])
    if isinstance(problem, rx.ConnectionError | rx.TimeoutError | rx.InvalidResponse | OSError):
        return _unreachable(problem, message, address)
    if "DB index is out of range" in message:
        return _no_database(address)
    if "wrong kind of value" in message:
        return _key_taken(address, message)
    error_class = errors.GroupMissingError if code == "NOGROUP" else errors.ReplyError
    return error_class(f"Redis at {where} answered an error: {message}", code=code, set_by=address.set_by)


def _message_of(problem: Exception) -> str:
    return str(problem).strip() or type(problem).__name__


def _rejected(address: RedisAddress, message: str) -> errors.RfctlError:
    return errors.CredentialsRefusedError(
        f"Redis at {address.shown()} refused us: {message}",
        set_by=address.set_by,
        next="put the right user and password into redis.url, or allow the commands to that user",
    )


def _no_database(address: RedisAddress) -> errors.RfctlError:
    return errors.wrong_settings(
        [f"redis.url: Redis at {address.shown()} has no such database (set by {address.set_by})"],
        [address.set_by],
        next="use a lower number behind the port, or raise `databases` in redis.conf",
    )


def _key_taken(address: RedisAddress, message: str) -> errors.RfctlError:
    return errors.KeyTakenError(
        f"a key of ours holds another kind of value at {address.shown()}: {message}",
        set_by=address.set_by,
        next="find out who writes rfctl:* there, or use another database",
    )


def _unreachable(problem: Exception, message: str, address: RedisAddress) -> errors.RfctlError:
    where = address.shown()
    if isinstance(problem, rx.TimeoutError | TimeoutError):
        fact = f"Redis at {where} does not answer within {address.timeout_ms} ms"
        step = "something accepts connections there and is silent, or is too slow: a dead tunnel?"
    elif isinstance(problem, rx.InvalidResponse) or "Protocol Error" in message:
        fact, step = f"what answers at {where} is not a Redis", "check host and port in redis.url"
    elif "CERTIFICATE_VERIFY_FAILED" in message:
        fact = f"Redis at {where} shows a certificate of an unknown authority: {message}"
        step = "put ?ssl_ca_certs=/path/of/ca.crt behind its URL"
    else:
        fact = f"Redis at {where} cannot be reached: {message}"
        step = "start it, or set redis.url (or try `--embedded`)"
    return errors.RedisUnreachableError(fact, set_by=address.set_by, overrides=address.overrides, next=step)
