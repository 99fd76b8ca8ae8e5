"""Delivers a merged message as one signed POST, after the Standard Webhooks specification.

The receiver is not trusted: its answer is bounded in time and size, no redirect is followed, and its name may lead only
to public addresses (see `addresses`). A message is delivered only after a 2xx, and `webhook-id` is the same at every
attempt. A 2xx whose rest is slow is still a 2xx: the receiver has the message, and must not get it twice.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from rfctl import __version__
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.deadlines import Deadlines
from rfctl.sinks.http.addresses import open_public_socket
from rfctl.sinks.http.config import HttpConfig, decode_secret
from rfctl.sinks.payload import encode_payload
from rfctl.text import duration, visible

MAX_READ_BYTES = 65_536
MAX_SHOWN_CHARS = 200
LONGEST_RETRY_AFTER_MS = 86_400_000
REST_MS = 1_000
"""How long rfctl waits for the rest of an answer once its status is known."""
IDLE_MS = 1_500
"""How long an unused connection is kept: shorter than receivers do (2 s and more), so that none is found dead."""


class Http:
    """A receiver reached by HTTP."""

    def __init__(self, name: str, config: HttpConfig) -> None:  # noqa: ARG002 - its name is in nothing that it sends
        self._config = config
        self._url = URL(config.url)
        self._keys = tuple(decode_secret(secret) for secret in config.secrets)
        self._fixed_headers = {
            **config.headers,
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"rfctl/{__version__}",
        }
        self._deadlines = Deadlines(config.timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections; the first one is opened by the first delivery."""
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=IDLE_MS / 1000,
            socket_factory=None if self._config.allow_private else open_public_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._fixed_headers,
            timeout=_timeout(self._config),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def deliver(self, delivery: Delivery) -> None:
        """Return after a 2xx. Raises DeliveryError for any other answer, and for none."""
        body = encode_payload(delivery, self._config.shape, raw=self._config.raw)
        try:
            status, headers, rest = await self._post(body, self._sign(delivery, body))
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise self._failure(problem) from None
        if not 200 <= status < 300:
            raise _build_rejection(status, headers, rest)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            raise RuntimeError("the sink is not open")
        with self._deadlines.limit() as limit:
            response = await self._session.post(self._url, data=body, headers=headers, allow_redirects=False)
        async with response:
            return response.status, response.headers, await _read_rest(response.content, limit.until)

    def _sign(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        headers = {"webhook-id": delivery.id, "webhook-timestamp": now}
        if self._keys:
            headers["webhook-signature"] = sign(self._keys, delivery.id, now, body)
        if delivery.traceparent:
            headers["traceparent"] = delivery.traceparent
        return headers

    def _failure(self, problem: Exception) -> DeliveryError:
        where = f"{self._url.host}:{self._url.port}"
        if isinstance(problem, aiohttp.ConnectionTimeoutError):
            limit_ms = min(self._config.connect_timeout_ms, self._config.timeout_ms)
            return DeliveryError(f"no connection to {where} within {duration(limit_ms)}")
        if isinstance(problem, TimeoutError):
            return DeliveryError(f"no answer within {duration(self._config.timeout_ms)}")
        return DeliveryError(_connection_fact(problem, where) or _answer_fact(problem))


def sign(keys: tuple[bytes, ...], id: str, seconds: str, body: bytes) -> str:  # noqa: A002
    """Return one `v1,…` for each key. Raises a final DeliveryError for a body that no receiver could verify."""
    try:
        body.decode()
    except UnicodeDecodeError:
        raise DeliveryError("the message is not UTF-8, so it cannot be signed", final=True) from None
    content = f"{id}.{seconds}.".encode() + body
    digests = (hmac.digest(key, content, "sha256") for key in keys)
    return " ".join(["v1," + base64.b64encode(digest).decode() for digest in digests])


def parse_retry_after_ms(header: str, now_ms: int) -> int:
    """Return the wait that a Retry-After asks for (seconds or an HTTP date), at most a day; 0 when it asks none."""
    value = header.strip()
    if value.isascii() and value.isdigit():
        return min(int(value.lstrip("0")[:7] or 0) * 1000, LONGEST_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, min(int(moment.timestamp() * 1000) - now_ms, LONGEST_RETRY_AFTER_MS))


async def _read_rest(content: aiohttp.StreamReader, until: float) -> bytes:
    """Read an answer's body for its text, and so that its connection can serve again; never for long, nor past `until`."""
    body = bytearray()
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        if content.is_eof():  # the usual case: all of it came at once
            return content.read_nowait(MAX_READ_BYTES)
        soon = asyncio.get_running_loop().time() + REST_MS / 1000
        async with asyncio.timeout_at(min(soon, until)):
            while len(body) < MAX_READ_BYTES and (part := await content.read(MAX_READ_BYTES - len(body))):
                body += part
    return bytes(body)


def _build_rejection(status: int, headers: Mapping[str, str], rest: bytes) -> DeliveryError:
    notes = {410: ", gone: it wants nothing any more"}
    note = ", a redirect, which is not followed" if 300 <= status < 400 else notes.get(status, "")
    text = _shorten(rest.decode(errors="replace").strip())
    return DeliveryError(
        f"answered {status}{note}" + (f": {text}" if text else ""),
        retry_after_ms=parse_retry_after_ms(headers.get("retry-after", ""), time.time_ns() // 1_000_000),
        pause=status == 410,
    )


def _connection_fact(problem: Exception, where: str) -> str:
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return f"no connection to {where}: the name is not found"
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        return f"no connection to {where}: {_shorten(str(problem.certificate_error))}"
    if isinstance(problem, aiohttp.ClientConnectorError):
        return f"no connection to {where}: {_os_fact(problem.os_error)}"
    return ""


def _answer_fact(problem: Exception) -> str:
    # The text of these errors may hold the whole URL, and that may hold a password.
    if isinstance(problem, aiohttp.ServerDisconnectedError):
        return "the connection was closed before an answer"
    if isinstance(problem, aiohttp.ClientOSError):
        return f"the connection broke: {_os_fact(problem)}"
    if isinstance(problem, aiohttp.ClientResponseError):
        return f"the answer is not HTTP: {_shorten(problem.message)}"
    return f"no answer that can be read ({type(problem).__name__})"


def _os_fact(problem: OSError) -> str:
    text = problem.strerror or str(problem)
    if problem.errno and text.startswith("Connect call failed"):  # asyncio's words, which hide the reason
        text = os.strerror(problem.errno)
    return _shorten(text.removeprefix("Multiple exceptions: "))


def _shorten(text: str) -> str:
    return visible(text[:MAX_SHOWN_CHARS])[:MAX_SHOWN_CHARS]


def _timeout(config: HttpConfig) -> aiohttp.ClientTimeout:
    # aiohttp rounds waits above `ceil_threshold` up to whole seconds; ours are meant as they are written.
    # The whole attempt has a limit of ours (`Deadlines`).
    return aiohttp.ClientTimeout(
        total=None,
        connect=config.connect_timeout_ms / 1000,
        ceil_threshold=math.inf,
    )
