"""The wiring: builds the parts from the settings, starts them, watches them, stops them in order.

Settings stop here; the parts get plain values. The daemon holds nothing that matters: whatever kills it,
what was acknowledged is in Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog

from rfctl import __version__
from rfctl.connection import Connection
from rfctl.embedded import EmbeddedStore
from rfctl.errors import (
    INTERRUPTED,
    RedisCannotNowError,
    RedisUnreachableError,
    RfctlError,
    StoreError,
)
from rfctl.heartbeat import Heartbeat, alive, pause
from rfctl.intake import Intake
from rfctl.layers import Configuration
from rfctl.listener import Listener, bind
from rfctl.message import Added, Message
from rfctl.notify import Notifier
from rfctl.overview import overview
from rfctl.processor import Processor
from rfctl.settings import EMBEDDED
from rfctl.sources.generic import Limits
from rfctl.vetting import Vetting
from rfctl.webhook import Access, Webhook
from rfctl.wiring import describe, embedded_folder, open_batches

_log = structlog.get_logger("daemon")
_STOP_S = 4.5
_NOTIFY_EVERY_S = 1.0
_LEAST_CHECK_MS = 10


class Service:
    """One daemon: `start`, `wait`, `stop`; a test can do the same without a process."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._notifier = Notifier(configuration.environment.variables)
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = contextlib.AsyncExitStack()
        self._embedded: EmbeddedStore | None = None
        self._listener: Listener | None = None
        self._stopping = asyncio.Event()
        self._stopped = False
        self._turned_at = time.monotonic()
        self._notified_at = 0.0
        self.id = uuid.uuid4().hex[:12]

    @property
    def url(self) -> str:
        """Where the webhook listens, or "" without one."""
        return self._listener.url if self._listener else ""

    @property
    def _processes(self) -> bool:
        return self._settings.daemon.roles != "webhook"

    async def start(self) -> None:
        """Build and start everything. Raises RfctlError when it must not start."""
        for notice in self._configuration.notices:
            _log.warning("notice", text=notice)
        listening = self._bind()
        try:
            self._open_store()
            await self._build(listening)
        except BaseException:
            if listening is not None:
                listening.close()
            await self._close()
            raise

    def _bind(self) -> socket.socket | None:
        if self._settings.daemon.roles == "processor":
            return None
        return bind(self._settings.http.host, self._settings.http.port)

    def _open_store(self) -> None:
        url = None
        if self._settings.redis.url == EMBEDDED:
            self._embedded = EmbeddedStore(embedded_folder(self._configuration))
            self._opened.callback(self._embedded.stop)
            store = self._embedded.start()
            url = store.url
            _log.info("embedded_store", url=store.tcp_url, socket=store.socket_path, pid=store.pid)
        self._connection = Connection.open(self._configuration.address(url))
        self._opened.push_async_callback(self._connection.close)
        self._batches = open_batches(self._configuration, self._connection)

    async def _build(self, listening: socket.socket | None) -> None:
        # A batch that another daemon opens right after a look is due quiet_ms later: look again by then.
        batching = self._settings.batching
        check_ms = max(_LEAST_CHECK_MS, min(self._settings.daemon.check_ms, batching.quiet_ms))
        self._processor = Processor(self._batches, check_ms=check_ms, turned=self._turned)
        self._intake = Intake(self._store)
        self._vetting = Vetting(
            self._connection,
            allow_eviction=self._settings.redis.allow_eviction,
            shards=self._settings.redis.shards,
        )
        try:
            await self._vetting.once()
        except (RedisUnreachableError, RedisCannotNowError) as problem:
            _log.error("redis_away", problem=problem.fact, set_by=problem.set_by, next="waiting for it")
            self._begin(self._vetting.until_passed(self._stopping))
        if listening is not None:
            await self._listen(listening)
        self._heartbeat = Heartbeat(
            self._connection, describe(self._settings, self.id, self.url), self._age_ms, self._beaten
        )
        self._begin(self._heartbeat.run(self._stopping))
        if self._processes:
            self._begin(self._process())
        if self._embedded is not None:
            self._begin(self._watch_store(self._embedded))
        if self._settings.daemon.stats_log_s:
            self._begin(self._log_stats())
        self._notifier.ready(
            f"listening on {self.url or 'nothing'}, Redis {self._connection.address.shown()}"
        )
        _log.info(
            "ready",
            listener=self.url,
            roles=self._settings.daemon.roles,
            pid=os.getpid(),
            version=__version__,
        )

    async def _listen(self, listening: socket.socket) -> None:
        http, generic = self._settings.http, self._settings.sources.generic
        webhook = Webhook(
            intake=self._intake,
            batches=self._batches,
            access=Access(http.token, generic.secrets, http.max_body_bytes),
            limits=Limits(self._settings.batching.max_text_bytes, generic.company),
            ready=self._ready,
            expect=self._processor.expect,
        )
        self._listener = Listener(
            webhook.app(),
            listening,
            header_s=http.header_timeout_ms / 1000,
            body_s=http.body_timeout_ms / 1000,
        )
        if not generic.secrets and http.host not in ("127.0.0.1", "::1", "localhost"):
            _log.warning(
                "unsigned_requests_taken", listener=self._listener.url, next="set sources.generic.secrets"
            )
        await self._listener.start()

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Stop the daemon when a part fails: systemd starts it anew, and nothing goes on half."""
        if not task.cancelled() and task.exception() is not None:
            self._stopping.set()

    async def _watch_store(self, store: EmbeddedStore) -> None:
        while store.runs:
            await pause(self._stopping, 0.2)
            if self._stopping.is_set():
                return
        raise StoreError("the embedded server has ended", next="see store.log in its state folder")

    async def _store(self, messages: Sequence[Message]) -> list[Added]:
        if not self._vetting.passed:
            raise RedisUnreachableError("Redis has not answered yet")
        return await self._batches.add(messages)

    async def _process(self) -> None:
        while not self._vetting.passed and not self._stopping.is_set():
            self._turned()
            await pause(self._stopping, 0.1)
        await self._processor.run(self._stopping)

    def _turned(self) -> None:
        now = time.monotonic()
        self._turned_at = now
        if now - self._notified_at >= _NOTIFY_EVERY_S:
            self._notified_at = now
            self._notifier.turned()

    def _beaten(self) -> None:
        if not self._processes:
            self._turned()

    def _age_ms(self) -> int:
        return int((time.monotonic() - self._turned_at) * 1000)

    async def _ready(self) -> tuple[bool, dict[str, Any]]:
        facts: dict[str, Any] = {"redis": self._connection.address.shown(), "lastTurnMs": self._age_ms()}
        try:
            server = await self._connection.server()
        except RfctlError as problem:
            return False, {**facts, "problem": problem.fact}
        facts |= {"db": server.db, "run_id": server.run_id, "set_by": server.set_by}
        late = self._age_ms() > 3 * self._settings.daemon.check_ms + 2000
        return self._vetting.passed and not late, facts

    async def _log_stats(self) -> None:
        while True:
            await pause(self._stopping, self._settings.daemon.stats_log_s)
            if self._stopping.is_set():
                return
            with contextlib.suppress(RfctlError):
                seen = await overview(self._connection, self._batches.partitions, limit=10)
                pending = [
                    {"phone": one.phone, "size": one.size, "due_in_ms": one.due_ms - seen.now_ms}
                    for one in seen.waiting
                ]
                _log.info(
                    "stats", batches=seen.batches, messages=seen.messages, totals=seen.totals, pending=pending
                )

    def obey_signals(self) -> None:
        """Take SIGTERM and SIGINT; before the start, so that none falls into a gap and ends us unasked."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    async def wait(self) -> None:
        """Wait for a signal, or for a part to fail."""
        await self._stopping.wait()

    def _signalled(self, number: int) -> None:
        if self._stopping.is_set():
            if self._embedded is not None:
                self._embedded.stop()
            os._exit(INTERRUPTED)
        _log.info("stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    async def stop(self) -> None:
        """Accept no more, answer what is open, hand over, say goodbye; once. Raises what made a part fail."""
        if self._stopped:
            return
        self._stopped = True
        self._stopping.set()
        self._notifier.stopping()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._wind_down()
        except TimeoutError:
            _log.warning(
                "stopped_before_all_was_handed_over",
                next="the rest is in Redis, and leaves at the next start",
            )
        except RfctlError as problem:
            _log.warning(
                "redis_away_at_stop", problem=problem.fact, next="what is pending leaves at the next start"
            )
        finally:
            await self._close()
        for task in self._tasks:
            failure = task.exception() if task.done() and not task.cancelled() else None
            if failure is not None:
                raise failure

    async def _wind_down(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
        await self._intake.settle()
        self._processor.wake()
        await asyncio.wait(self._tasks)
        failed = [task for task in self._tasks if not task.cancelled() and task.exception() is not None]
        if self._processes and self._vetting.passed and not failed:
            await self._hand_over_last()
        await self._heartbeat.stop()

    async def _hand_over_last(self) -> None:
        done = await self._processor.step()
        others = [one for one in await alive(self._connection) if one.processes and one.id != self.id]
        if self._settings.daemon.on_stop == "due" or others:
            _log.info("stopped", left_pending=done.next_due_ms is not None, other_processors=len(others))
            return
        count = 0
        while True:
            done = await self._batches.hand_over(everything="shutdown")
            count += done.batches
            if not done.more:
                break
        _log.info("stopped", handed_over=count)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._opened.aclose()


async def serve(configuration: Configuration) -> None:
    """Run a daemon until it is told to stop. Raises RfctlError when it cannot start or a part fails."""
    service = Service(configuration)
    service.obey_signals()
    await service.start()
    await service.wait()
    await service.stop()
