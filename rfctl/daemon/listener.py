"""The socket that the HTTP server listens on: an address and a port, or the path of a Unix socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from rfctl.errors import CannotListenNowError, ListenError

UNIX = "unix:"
"""How http.host begins for a Unix socket."""
_INVALID_ADDRESS = frozenset({errno.EINVAL, errno.EAFNOSUPPORT})
_NOT_PERMITTED = frozenset({errno.EACCES, errno.EPERM})


class PassedSocket(socket.socket):
    """A listening socket of systemd's, by the name `unit`. Its file stays: others connect to it while we are away."""

    unit = ""

    def read_address(self) -> tuple[str, int | None]:
        """Return its host and port as `http.host` and `http.port` have them; a Unix socket has no port."""
        if self.family == socket.AF_UNIX:
            return f"{UNIX}{_read_path(self)}", None
        host, port = self.getsockname()[:2]
        return host, port

    def describe(self) -> str:
        """Return its address in one word."""
        host, port = self.read_address()
        return host if port is None else format_host(host, port)


def _read_path(listening: socket.socket) -> str:
    """Return the path of a Unix socket; an abstract name begins with @."""
    path = listening.getsockname()
    return "@" + path[1:].decode(errors="replace") if isinstance(path, bytes) else path


def format_host(host: str, port: int) -> str:
    """Return host and port in one word; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_socket(host: str, port: int, *, mode: int = 0o660) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises ListenError.

    A host of the form unix:/path is a Unix socket with this `mode`.
    """
    if host.startswith(UNIX):
        return _bind_unix_socket(host.removeprefix(UNIX), mode)
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as problem:  # UnicodeError: a label of the name is empty or too long
        raise _explain_failure(host, port, problem) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as problem:
        listening.close()
        raise _explain_failure(host, port, problem) from None
    return listening


def _bind_unix_socket(path: str, mode: int) -> socket.socket:
    _remove_stale_socket(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listening.bind(path)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as problem:
        listening.close()
        raise _explain_path(path, problem) from None
    finally:
        os.umask(before)
    return listening


def _remove_stale_socket(path: str) -> None:
    """Remove the socket of a daemon that was killed. Raises ListenError if somebody answers there, or it is no socket."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise ListenError(f"{path} is no socket", next="set http.host to another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(1)
            asking.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink()
    except OSError as problem:
        raise _explain_path(path, problem) from None
    else:
        step = f"`ss -lxp src {path}` shows who: end that process, or set http.host to another path"
        raise CannotListenNowError(f"cannot listen on {UNIX}{path}: somebody answers there", next=step)


def _explain_path(path: str, problem: OSError) -> ListenError:
    fact = f"cannot listen on {UNIX}{path}: {problem.strerror or problem}"
    if problem.errno in (errno.ENOENT, errno.ENOTDIR):
        return ListenError(
            fact, next="make its folder (systemd: RuntimeDirectory=), or set http.host to another path"
        )
    if problem.errno in _NOT_PERMITTED:
        return ListenError(fact, next="let this user write into its folder, or set http.host to another path")
    return CannotListenNowError(fact, next="try again; or set http.host to another path")


def _explain_failure(host: str, port: int, problem: OSError | UnicodeError) -> ListenError:
    code = problem.errno if isinstance(problem, OSError) else None
    fact = f"cannot listen on {host}:{port}: {getattr(problem, 'strerror', '') or problem}"
    unresolved = isinstance(problem, socket.gaierror) and code != socket.EAI_AGAIN
    if unresolved or isinstance(problem, UnicodeError) or code in _INVALID_ADDRESS:
        return ListenError(fact, next="set http.host to an address of this host, 127.0.0.1 or 0.0.0.0")
    if code in _NOT_PERMITTED:
        step = "let systemd open it (`rfctl export socket`): ports below 1024 are for root; or set http.port to another"
        return ListenError(fact, next=step)
    return CannotListenNowError(fact, next=_suggest_next_step(code, port))


def _suggest_next_step(code: int | None, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"`ss -ltnp 'sport = :{port}'` shows who has it: end that one, or set http.port"
    if code == errno.EADDRNOTAVAIL:
        return "`ip address` shows the addresses that there are now: wait for this one, or set http.host"
    return "try again; or set http.host and http.port"


def format_url(listening: socket.socket) -> str:
    """Return the address of a listening socket as a URL, or as unix:/path."""
    if listening.family == socket.AF_UNIX:
        return f"{UNIX}{_read_path(listening)}"
    host, port = listening.getsockname()[:2]
    return f"http://{format_host(host, port)}"


def remove_file(listening: socket.socket) -> None:
    """Remove the file of a Unix socket of our own: nobody can connect any more."""
    if listening.family == socket.AF_UNIX and not isinstance(listening, PassedSocket):
        with contextlib.suppress(OSError):
            Path(listening.getsockname()).unlink()
