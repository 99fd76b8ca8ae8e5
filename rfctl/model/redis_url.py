"""Reads the URL of a Redis: every part of it is understood, or refused in words that show no password.

redis-py reads a URL with a parser that cuts a password at its `/`, takes a wrong database for 0, and passes unknown
names on. So the URL is read here first, and redis-py gets the form that it understands.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

FORM = "write redis://host:port/db, redis://user:password@host:port/db, rediss://… for TLS, unix:///path?db=0"

_SCHEMES = {
    "redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss",
}  # fmt: skip
_TLS_NAMES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_NAMES = ("db", "username", "password", "client_name")
_CHOICES = {
    "ssl_cert_reqs": ("required", "optional", "none"),
    "ssl_check_hostname": ("true", "false", "1", "0", "yes", "no"),
}
_NOT_IN_USER = re.compile(r"[/?#@\[\]]")
_BROKEN_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_URL = re.compile(r"[\s\x00-\x1f\x7f]")
_MAX_DB = 2**31 - 1
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL that was read. `url` is as redis-py takes it, `options` are the names and values of its query."""

    url: str
    is_tls: bool
    db: int
    options: dict[str, str]


def parse_redis_url(text: str) -> RedisUrl:
    """Return what a URL says. Raises ValueError in words that say what to write, and show nothing secret."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme.lower() not in _SCHEMES:
        raise ValueError(_explain_scheme(scheme.lower() if mark else ""))
    if _NOT_IN_URL.search(text):
        raise ValueError("it has white space in it: a space in a password is written %20")
    user, at, rest = rest.rpartition("@")
    _check_user(user)
    if "#" in rest:
        raise ValueError("it has a # in it: in a password it is written %23, with an @ before the host")
    place, _, query = rest.partition("?")
    kind = _SCHEMES[scheme.lower()]
    options = dict(_read_query(query, is_tls=kind == "rediss"))
    db: int | None = None
    if kind == "unix":
        _check_path(place)
    else:
        db = _check_host(place)
    if "db" in options:
        if db is not None and db != int(options["db"]):
            raise ValueError(f"it names two databases, {db} and {options['db']}: leave one out")
        db = int(options["db"])
    return RedisUrl(f"{kind}://{user}{at}{rest}", kind == "rediss", db or 0, options)


def add_options(url: str, options: dict[str, str]) -> str:
    """Return a URL with more names and values in its query."""
    added = "&".join(f"{name}={quote(value, safe='/')}" for name, value in options.items())
    return f"{url}{'&' if '?' in url.rpartition('@')[2] else '?'}{added}" if added else url


class TlsFileError(ValueError):
    """A certificate or key cannot be used; `option` is the name that the URL has for it."""

    def __init__(self, option: str, fact: str) -> None:
        super().__init__(fact)
        self.option = option


def check_tls_files(url: RedisUrl) -> None:
    """Read the certificates and the key that a URL names. Raises TlsFileError with the file that cannot be used."""
    for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if path := url.options.get(option):
            _check_readable(option, path)
    authorities, certificate = url.options.get("ssl_ca_certs"), url.options.get("ssl_certfile")
    if not (authorities or certificate):
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError:
            fact = f"{authorities} holds no certificate of an authority: it must be a PEM file"
            raise TlsFileError("ssl_ca_certs", fact) from None
    if certificate:
        key = url.options.get("ssl_keyfile")
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (ssl.SSLError, ValueError):
            fact = (
                f"{certificate} and {key or certificate} are no certificate with its key: they must be PEM files that "
                "belong together, the key without a password"
            )
            raise TlsFileError("ssl_certfile", fact) from None


def _check_readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as problem:
        raise TlsFileError(option, f"{path} cannot be read: {problem.strerror}") from None


def _explain_scheme(scheme: str) -> str:
    if "cluster" in scheme:
        return (
            "a Redis Cluster is not supported yet: use a Redis without cluster mode, and its URL as "
            "redis://host:port/0"
        )
    if "sentinel" in scheme:
        return (
            "Sentinel is not supported yet: give the address of the master itself, or of a proxy that follows it, as "
            "redis://host:port/0"
        )
    if scheme.endswith(("+socket", "+unix")):
        return "write a socket as unix:///path?db=0"
    return FORM + ", or embedded"


def _check_user(user: str) -> None:
    if special := _NOT_IN_USER.search(user):
        raise ValueError(
            f"there is a {special[0]} before its last @: in a user or a password it is written "
            f"%{ord(special[0]):02X}, so percent-encode them"
        )
    if _BROKEN_CODE.search(user):
        raise ValueError("there is a % in its user or password that begins no code: it is written %25")


def _check_host(place: str) -> int | None:
    """Return the database behind host and port; None without one."""
    server, _, path = place.partition("/")
    if "," in server:
        raise ValueError("it names several servers: rfctl uses one, the master")
    host, port = _split_port(server)
    if not host:
        raise ValueError("it names no host: redis://127.0.0.1:6379/0 is this machine")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _MAX_PORT):
        raise ValueError(
            f"its port is no number from 1 to {_MAX_PORT}; a password stands before an @, percent-encoded"
        )
    return _check_db(path) if path else None


def _split_port(server: str) -> tuple[str, str | None]:
    if server.startswith("["):
        host, bracket, port = server[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError("its IPv6 address is written in brackets: redis://[::1]:6379/0")
        return host, port[1:] if port else None
    host, colon, port = server.partition(":")
    if ":" in port and re.fullmatch(r"[0-9A-Fa-f:.]+", server):
        raise ValueError("its IPv6 address is written in brackets: redis://[::1]:6379/0")
    return host, port if colon else None


def _check_db(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_DB):
        raise ValueError("what stands behind its host is no number of a database: write /0")
    return int(text)


def _check_path(place: str) -> None:
    if not place.startswith("/") or not place.strip("/"):
        raise ValueError("a socket is written with its whole path: unix:///run/redis/redis.sock?db=0")


def _read_query(query: str, *, is_tls: bool) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for field in filter(None, query.split("&")):
        name, _, coded = field.partition("=")
        value = unquote(coded.replace("+", " "))
        known_names = (*_NAMES, *_TLS_NAMES) if is_tls else _NAMES
        if name not in known_names:
            raise ValueError(_explain_name(name, known_names))
        if name in seen:
            raise ValueError(f"it has {name}= twice: leave one out")
        seen.add(name)
        _check_value(name, value)
        yield name, value


def _explain_name(name: str, known_names: tuple[str, ...]) -> str:
    if name in _TLS_NAMES:
        return f"{name} is for TLS: write rediss:// in place of redis://"
    shown = name if re.fullmatch(r"[a-z_]{1,30}", name) else "what stands behind its ?"
    return f"{shown} is not understood there: rfctl knows {', '.join(known_names)}"


def _check_value(name: str, value: str) -> None:
    if not value:
        raise ValueError(f"{name}= has no value: write one, or leave it out")
    if name == "db" and not (
        value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= _MAX_DB
    ):
        raise ValueError("db= is no number of a database: write db=0")
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        raise ValueError(f"{name}= is one of {', '.join(choices)}")
