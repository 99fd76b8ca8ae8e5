"""Gives what redis-py or a socket raises our own name, with the step that mends it.

Redis begins an error with a code (`NOGROUP`, `OOM`). redis-py takes some codes out of the message, and Redis 6.2
hides the code of an error inside a script in the middle of it; `code_of` finds it in all of them.
"""

from __future__ import annotations

import re

from redis import exceptions as rx

from rfctl import errors
from rfctl.store.address import RedisAddress
from rfctl.text import hide_secrets

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
_CREDENTIALS = ("NOAUTH", "WRONGPASS")
_REFUSALS = ("invalid username-password", "Authentication required")
_NOT_THE_MASTER = ("READONLY", "MASTERDOWN", "UNBLOCKED")
_OF_A_SCRIPT = re.compile(r": -([A-Z]+) ")
"""Where Redis 6.2 has the code of an error that a command inside a script was answered."""
CLOSED_BY_SERVER = "Connection closed by server."
"""What redis-py says of a socket that ended."""
_DENIED = re.compile(
    r"ACL failure in script|The user executing the script can't (?:run|access|publish)|NOPERM"
)
"""How Redis 7.0, later versions and Valkey deny a command inside a script; 6.2 has the code in the middle."""


def code_of(problem: Exception) -> str:
    """Return the code with which Redis begins an error; for any other failure its first word."""
    message = _message_of(problem)
    inside = _OF_A_SCRIPT.search(message)
    if _DENIED.search(message):
        return "NOPERM"
    return inside[1] if inside else _WITHOUT_CODE.get(type(problem)) or message.split(" ", 1)[0]


def as_redis_error(problem: Exception) -> Exception:
    """Return a failure as redis-py means it, and raise a bug again.

    Redis may close an idle socket. The next write to it fails in redis-py on asyncio's loop, and in uvloop on that one,
    with a RuntimeError.
    """
    if not isinstance(problem, RuntimeError):
        return problem
    if "the handler is closed" not in str(problem):
        raise problem
    return rx.ConnectionError(CLOSED_BY_SERVER)


def is_not_the_master(problem: Exception) -> bool:
    """Say whether the server answers that it is a replica, as after a failover."""
    return code_of(problem) in _NOT_THE_MASTER


def explain_failure(problem: Exception, address: RedisAddress) -> errors.RfctlError:
    """Return our error for what redis-py or the socket raised."""
    message, code = _message_of(problem), code_of(problem)
    if isinstance(problem, rx.NoPermissionError) or _DENIED.search(message):
        return _denied(address, message)
    rejected = code in _CREDENTIALS or any(sign in message for sign in _REFUSALS)
    if rejected or isinstance(problem, rx.AuthenticationError | rx.AuthorizationError):
        return _rejected(address, message)
    if code in CANNOT_NOW:
        fact = f"Redis at {address.shown()} cannot serve this now: {message}"
        return errors.RedisCannotNowError(fact, code=code, set_by=address.set_by, next=CANNOT_NOW[code])
    if isinstance(problem, rx.ConnectionError | rx.TimeoutError | rx.InvalidResponse | OSError):
        return _unreachable(problem, message, address)
    return _explain_answer(message, code, address)


def explain_answer(message: str, address: RedisAddress) -> errors.RfctlError:
    """Return our error for what Redis said of one of several things that a script did."""
    return explain_failure(rx.ResponseError(message), address)


def _explain_answer(message: str, code: str, address: RedisAddress) -> errors.RfctlError:
    if "DB index is out of range" in message:
        return _no_database(address)
    if "wrong kind of value" in message:
        return _key_taken(address, message)
    error_class = errors.GroupMissingError if code == "NOGROUP" else errors.ReplyError
    fact = f"Redis at {address.shown()} answered an error: {message}"
    return error_class(fact, code=code, set_by=address.set_by)


def _message_of(problem: Exception) -> str:
    return str(problem).strip() or type(problem).__name__


def _rejected(address: RedisAddress, message: str) -> errors.RfctlError:
    return errors.CredentialsRefusedError(
        f"Redis at {address.shown()} refused us: {message}",
        set_by=address.set_by,
        next="put the right user and password into redis.url",
    )


def _denied(address: RedisAddress, message: str) -> errors.RfctlError:
    return errors.RightsMissingError(
        f"Redis at {address.shown()} does not allow us a command, key or channel (NOPERM): {message}",
        set_by=address.set_by,
        next="`rfctl export acl` prints the line that grants all that rfctl needs",
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
    is_tls = address.url.startswith(("rediss:", "valkeys:"))
    if (tls := _explain_tls(message, where)) is not None:
        fact, step = tls
    elif isinstance(problem, rx.TimeoutError | TimeoutError):
        fact = f"Redis at {where} does not answer within {address.timeout_ms} ms"
        step = "something accepts connections there and is silent, or is too slow: a dead tunnel?"
        if is_tls:
            step = f"if this port speaks no TLS, {_PLAIN}; otherwise {step}"
    elif isinstance(problem, rx.InvalidResponse) or "Protocol Error" in message:
        fact, step = f"what answers at {where} is not a Redis", "check host and port in redis.url"
    elif any(sign in message for sign in _CLOSED):
        fact = f"Redis at {where} has closed the connection: {message}"
        step = (
            f"if it asks for a certificate of ours, {_OURS}"
            if is_tls
            else f"if this port wants TLS, {_WITH_TLS}"
        )
        step += "; otherwise see the log of Redis"
    else:
        fact = f"Redis at {where} cannot be reached: {hide_secrets(message, address.url)}"
        step = "start it, or set redis.url (or try `--embedded`)"
    return errors.RedisUnreachableError(fact, set_by=address.set_by, overrides=address.overrides, next=step)


_PLAIN = "write redis:// in place of rediss://"
_OURS = "set redis.tls_cert and redis.tls_key, or ?ssl_certfile= and ssl_keyfile= behind its URL"
_CLOSED = ("reset by peer", "closed by server", "Connection lost", "Broken pipe")
_WITH_TLS = "write rediss:// in place of redis://"
_TLS_CAUSES = (
    # What a failed handshake says; the fact after "Redis at URL"; what to do.
    (("Hostname mismatch", "IP address mismatch"), "shows a certificate for another name", "write the host as the certificate names it"),
    (("certificate has expired", "not yet valid"), "shows a certificate that is not valid today", "renew it, or set this host's clock"),
    (("CERTIFICATE_VERIFY_FAILED",), "shows a certificate of an unknown authority", "set redis.tls_ca, or ?ssl_ca_certs= behind its URL, to the file of its authority"),
    (("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"), "asks for a certificate of ours", "set redis.tls_cert and redis.tls_key, or ?ssl_certfile= and ssl_keyfile= behind its URL"),
    (("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_UNKNOWN", "ALERT_DECRYPT_ERROR"), "does not accept our certificate", "set redis.tls_cert and redis.tls_key to those that its authority has signed"),
    (("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"), "speaks no TLS", _PLAIN),
    (('got "\\x15"', "got '\\x15'", "b'\\x15"), "wants TLS", _WITH_TLS),
)  # fmt: skip


def _explain_tls(message: str, where: str) -> tuple[str, str] | None:
    """Return fact and next step for what went wrong with TLS; None when it was something else."""
    for signs, fact, step in _TLS_CAUSES:
        if any(sign in message for sign in signs):
            return f"Redis at {where} {fact}: {message}", step
    return None
