"""One daemon: builds the components from the settings, starts them, watches them, stops them in order.

The daemon holds nothing that matters: whatever kills it, what was acknowledged is in Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from rfctl import __version__
from rfctl.assembly.sources import check_open_to_all
from rfctl.assembly.store import embedded_folder, open_store
from rfctl.config.loader import Configuration
from rfctl.config.settings import EMBEDDED
from rfctl.daemon.components import Components
from rfctl.daemon.heartbeat import Heartbeat
from rfctl.daemon.http_server import HttpServer, bind
from rfctl.daemon.readiness import Readiness
from rfctl.daemon.record import describe
from rfctl.daemon.systemd import Notifier
from rfctl.errors import (
    INTERRUPTED,
    RedisCannotNowError,
    RedisUnreachableError,
    RfctlError,
    SettingsError,
    StoreError,
)
from rfctl.ingest import Webhook
from rfctl.observe import logging as logs
from rfctl.store import DaemonRecord
from rfctl.store.embedded import EmbeddedServer
from rfctl.timing import first_of, sleep_or_stop

_log = structlog.get_logger("daemon")
_STOP_S = 4.5


class Daemon:
    """One daemon: `start`, `wait`, `stop`; a test can do the same without a process."""

    def __init__(self, configuration: Configuration, load: Callable[[], Configuration] | None = None) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._load = load
        self._notifier = Notifier(configuration.environment.variables)
        self._readiness = Readiness(self._notifier)
        self._tasks: list[asyncio.Task[None]] = []
        self._exit_stack = contextlib.AsyncExitStack()
        self._embedded: EmbeddedServer | None = None
        self._http_server: HttpServer | None = None
        self._heartbeat: Heartbeat | None = None
        self._reloading = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._stopped = False
        self._redis_url = configuration.settings.redis.url
        self._failure: BaseException | None = None
        self.id = uuid.uuid4().hex[:12]

    @property
    def url(self) -> str:
        """Where the webhook listens, or "" without one."""
        return self._http_server.url if self._http_server else ""

    async def start(self) -> None:
        """Build and start everything. Raises RfctlError when it must not start."""
        for notice in self._configuration.notices:
            _log.warning("settings_noticed", text=notice)
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
        if self._settings.daemon.role not in ("all", "webhook"):
            return None
        check_open_to_all(self._settings)
        return bind(self._settings.http.host, self._settings.http.port)

    def _open_store(self) -> None:
        url = None
        if self._settings.redis.url == EMBEDDED:
            self._embedded = EmbeddedServer(embedded_folder(self._configuration))
            self._exit_stack.callback(self._embedded.stop)
            address = self._embedded.start()
            url = address.url
            self._redis_url = address.tcp_url
            _log.info(
                "embedded_server_started", url=address.tcp_url, socket=address.socket_path, pid=address.pid
            )
        self._store = open_store(self._configuration, url)
        self._exit_stack.push_async_callback(self._store.close)

    async def _build(self, listening: socket.socket | None) -> None:
        self._components = Components(
            self._settings, self._store, self._readiness, self.id, self._redis_url, self._on_end
        )
        self._exit_stack.push_async_callback(self._components.supervisor.stop)
        preflight = self._components.preflight
        try:
            await preflight.check()
        except (RedisUnreachableError, RedisCannotNowError) as problem:
            self._begin(preflight.check_until_passed(self._stopping, problem))
        await self._components.start_sinks()
        if listening is not None:
            self._components.warn()
            await self._listen(listening)
        self._begin_loops()
        self._notifier.ready(f"listening on {self.url or 'nothing'}, Redis {self._store.address.shown()}")
        role = self._settings.daemon.role
        _log.info("daemon_started", listener=self.url, role=role, pid=os.getpid(), version=__version__)

    async def _listen(self, listening: socket.socket) -> None:
        http = self._settings.http
        webhook = Webhook(self._components.receiver, self._store, http.admin_token, self._ready)
        self._http_server = HttpServer(
            webhook.app(),
            listening,
            header_s=http.header_timeout_ms / 1000,
            body_s=http.body_timeout_ms / 1000,
        )
        await self._http_server.start()

    def _begin_loops(self) -> None:
        self._heartbeat = Heartbeat(
            self._store.daemons,
            self._description(),
            self._readiness.age_ms,
            after=(self._components.record_turn_without_scheduler, self._store.counters.write),
        )
        self._begin(self._heartbeat.run(self._stopping))
        for loop in self._components.loops(self._stopping):
            self._begin(loop)
        if self._embedded is not None:
            self._begin(self._watch_store(self._embedded))
        if self._settings.daemon.stats_log_s:
            self._begin(self._log_stats())

    def _description(self) -> DaemonRecord:
        return describe(self._components.settings, self.id, self.url)

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._on_end)
        self._tasks = [*(task for task in self._tasks if not task.done()), task]

    def _on_end(self, task: asyncio.Future[None]) -> None:
        """Stop the daemon when a component fails: systemd starts it anew, and nothing goes on half."""
        if not task.cancelled() and (problem := task.exception()) is not None:
            _log.error("component_failed", problem=repr(problem), next="the daemon stops, to be started anew")
            self._failure = self._failure or problem
            self._stopping.set()

    async def _watch_store(self, server: EmbeddedServer) -> None:
        await first_of(server.wait_ended(), self._stopping.wait())
        if self._stopping.is_set():
            return
        raise StoreError("the embedded server has ended", next="see store.log in its state folder")

    async def _ready(self) -> tuple[bool, dict[str, Any]]:
        turns, facts = await self._readiness.check(
            self._store, max_sleep_ms=self._settings.daemon.max_sleep_ms
        )
        return turns and self._components.preflight.passed, facts

    async def _log_stats(self) -> None:
        while True:
            await sleep_or_stop(self._stopping, self._settings.daemon.stats_log_s)
            if self._stopping.is_set():
                return
            with contextlib.suppress(RfctlError):
                pending = await self._store.pending(limit=10)
                _log.info(
                    "stats_reported", batches=pending.batches, messages=pending.messages, totals=pending.totals,
                    pending=[
                        {"phone": batch.phone, "size": batch.size, "due_in_ms": batch.due_ms - pending.now_ms}
                        for batch in pending.next_due
                    ],
                )  # fmt: skip

    def obey_signals(self) -> None:
        """Take SIGTERM, SIGINT and SIGHUP; before the start, so that none falls into a gap and ends us unasked."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self.reload()))

    async def wait(self) -> None:
        """Wait for a signal, or for a component to fail."""
        await self._stopping.wait()

    def _signalled(self, number: int) -> None:
        if self._stopping.is_set():
            if self._embedded is not None:
                self._embedded.stop()
            os._exit(INTERRUPTED)
        _log.info("daemon_stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    async def reload(self) -> None:
        """Read the settings anew; wrong ones are refused, and the old ones stay. No message is lost by it."""
        if self._load is None or self._heartbeat is None:
            return  # still starting, with what was read a moment ago
        stays = "the old ones stay; mend them and reload"
        async with self._reloading:
            try:
                await self._use(self._load(), self._heartbeat)
            except SettingsError as problem:
                _log.error("settings_rejected", problems=problem.problems, next=stays)
            except RfctlError as problem:
                _log.error("settings_rejected", problem=problem.fact, next=stays)

    async def _use(self, configuration: Configuration, heartbeat: Heartbeat) -> None:
        later = await self._components.reconfigure(configuration.settings)
        heartbeat.describe(self._description())
        log = configuration.settings.log
        logs.configure(level=log.level, format=log.format, mask=log.mask)
        if self._http_server is not None:
            self._components.warn()
        _log.info(
            "settings_reloaded", files=[str(path) for path in configuration.files], after_a_restart=later
        )

    async def stop(self) -> None:
        """Accept no more, answer what is open, hand over, say goodbye; once. Raises what made a component fail."""
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
                "drain_incomplete",
                next="the rest is in Redis, and leaves at the next start",
            )
        except RfctlError as problem:
            _log.warning(
                "redis_unavailable", component="stop",
                problem=problem.fact, next="what is pending leaves at the next start",
            )  # fmt: skip
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure

    async def _wind_down(self) -> None:
        if self._http_server is not None:
            await self._http_server.stop()
        await self._components.receiver.group_commit.settle()
        self._components.scheduler.wake()
        await asyncio.wait([*self._tasks, asyncio.ensure_future(self._components.supervisor.stop())])
        failed = [task for task in self._tasks if not task.cancelled() and task.exception() is not None]
        if self._components.has_role("processor") and self._components.preflight.passed and not failed:
            await self._hand_over_last()
        await self._store.counters.write()
        if self._heartbeat is not None:
            await self._heartbeat.stop()

    async def _hand_over_last(self) -> None:
        done = await self._components.scheduler.step()
        alive = await self._store.daemons.list_alive()
        others = [record for record in alive if record.processes and record.id != self.id]
        if self._components.settings.daemon.drain == "due" or others:
            _log.info(
                "daemon_stopped", left_pending=done.next_due_ms is not None, other_schedulers=len(others)
            )
            return
        count = 0
        while True:
            done = await self._store.batches.drain("shutdown")
            count += done.batches
            if not done.more:
                break
        _log.info("daemon_stopped", handed_over=count)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._exit_stack.aclose()
