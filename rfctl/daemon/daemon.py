"""One daemon: builds the components from the settings, starts them, watches them, stops them in order.

The daemon holds nothing of value: after any crash, every acknowledged message is in Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from rfctl import __version__
from rfctl.assembly.store import open_store
from rfctl.config.loader import Configuration
from rfctl.config.settings import EMBEDDED, Settings
from rfctl.daemon.components import Components
from rfctl.daemon.drain import hand_over_rest
from rfctl.daemon.embedded import build_server, start_server, watch_server
from rfctl.daemon.exit_limit import LIMIT_S, limit_exit
from rfctl.daemon.heartbeat import Heartbeat, Listening, build_record
from rfctl.daemon.host_file import HostFile
from rfctl.daemon.http_bounds import Limits
from rfctl.daemon.http_server import HttpServer
from rfctl.daemon.loops import Loops
from rfctl.daemon.metrics import MetricsPage
from rfctl.daemon.page import build_page
from rfctl.daemon.passed_sockets import PassedSockets
from rfctl.daemon.probe import Prober
from rfctl.daemon.readiness import Readiness
from rfctl.daemon.sockets import Sockets
from rfctl.daemon.stats_log import log_stats
from rfctl.daemon.systemd import Notifier
from rfctl.daemon.watch import Watch
from rfctl.errors import INTERRUPTED, RedisCannotNowError, RedisUnreachableError, RfctlError, SettingsError
from rfctl.ingest import Webhook
from rfctl.observe import logging as logs
from rfctl.store import DaemonRecord
from rfctl.store.embedded import EmbeddedServer
from rfctl.text import mask_urls

if TYPE_CHECKING:
    from rfctl.observe.tracing import Tracing

_log = structlog.get_logger("daemon")
_CONFIRM_S = 1.5
"""How long a request in hand may wait for Redis once the daemon stops."""
_DRAIN_S, _CLOSE_S = 3.4, 0.5
"""How long a stop may hand over, and then close. Together with the end of an embedded server it takes less than 5 s."""


class Daemon:
    """One daemon: `start`, `wait_for_stop`, `stop`. It needs no process of its own. `passed` sockets stand in for its own."""

    def __init__(
        self,
        configuration: Configuration,
        load: Callable[[], Configuration] | None = None,
        *,
        drain_s: float = _DRAIN_S,
        is_rolling_out: bool = False,
        tracing: Tracing | None = None,
        passed: PassedSockets | None = None,
    ) -> None:
        self._drain_s, self._tracing, self._passed = drain_s, tracing, passed or PassedSockets()
        configuration = self._passed.use_addresses(configuration)
        self._configuration, self._settings = configuration, configuration.settings
        self._load, self._is_rolling_out = load, is_rolling_out
        self._notifier = Notifier(configuration.environment.variables)
        loops = Loops(self._settings.redis.timeout_ms)
        self._readiness = Readiness(self._notifier, self._settings.daemon.max_sleep_ms, loops=loops)
        self._tasks: list[asyncio.Task[None]] = []
        self._exit_stack = contextlib.AsyncExitStack()
        self._embedded: EmbeddedServer | None = None
        self._http_server: HttpServer | None = None
        self._monitor: HttpServer | None = None
        self._heartbeat: Heartbeat | None = None
        self._reloading, self._stopping, self._stopped = asyncio.Lock(), asyncio.Event(), False
        self._redis_url = configuration.settings.redis.full_url()
        self._failure: BaseException | None = None
        self.id = uuid.uuid4().hex[:12]

    @property
    def url(self) -> str:
        """The URL of the webhook's listener, or "" without one."""
        return self._http_server.url if self._http_server else ""

    @property
    def monitor_url(self) -> str:
        """The URL of the listener for whoever watches the daemon, or "" without one."""
        return self._monitor.url if self._monitor else ""

    async def start(self) -> None:
        """Build and start every component. Raises RfctlError; then nothing runs."""
        for notice in self._configuration.notices:
            _log.warning("settings_noticed", text=notice)
        sockets = Sockets.bind(self._settings, self._passed)
        try:
            await self._open_store()
            await self._build(sockets)
        except BaseException:
            sockets.close()
            await self._close()
            raise

    async def _open_store(self) -> None:
        url = None
        if self._settings.redis.url == EMBEDDED:
            self._embedded = build_server(self._configuration)
            self._exit_stack.callback(self._embedded.stop)
            address = await start_server(self._embedded, self._configuration, self._stopping)
            url, self._redis_url = address.url, address.tcp_url
        self._store = open_store(self._configuration, url, on_failure=self._readiness.count_failure)
        self._exit_stack.push_async_callback(self._store.close)

    async def _build(self, sockets: Sockets) -> None:
        self._components = Components(
            self._settings, self._store, self._readiness, self.id, self._redis_url, self._on_end,
            build_record(self._settings, self.id, is_rolling_out=self._is_rolling_out), self._tracing,
        )  # fmt: skip
        self._exit_stack.push_async_callback(self._components.supervisor.stop)
        preflight = self._components.preflight
        try:
            await preflight.check()
        except (RedisUnreachableError, RedisCannotNowError) as problem:
            self._start_task(preflight.check_until_passed(self._stopping, problem))
        await self._components.start_sinks()
        await self._listen(sockets)
        self._start_loops()
        _log.info(
            "daemon_started", listener=self.url or None, monitor=self.monitor_url or None,
            page=self._settings.http.page_in_force if self.url else "off", role=self._settings.daemon.role,
            pid=os.getpid(), version=__version__, socket_unit=self._passed.unit or None,
        )  # fmt: skip

    async def _listen(self, sockets: Sockets) -> None:
        http, receiver = self._settings.http, self._components.receiver
        metrics = MetricsPage(self._components, self._readiness)
        self._exit_stack.push_async_callback(metrics.close)
        prober = self._prober = Prober(self._components, self.id, self._readiness.measure_turn_age_ms)
        split_by = self._components.batcher.list_split_fields
        webhook = Webhook(receiver, self._store, self._check_readiness, metrics.render, prober.run, split_by)
        limits = Limits(http.header_timeout_ms / 1000, http.body_timeout_ms / 1000, http.max_header_bytes)
        on_reject = receiver.rejections.record
        sockets.close_with(self._exit_stack)  # also where the drain has no time to stop the servers
        if sockets.monitor is not None:
            self._monitor = HttpServer(webhook.create_monitor_app(), sockets.monitor, limits, on_reject)
            await self._monitor.start()
        if sockets.webhook is not None:
            self._components.log_notices()
            page = build_page(self._components, self._readiness.measure_turn_age_ms)
            app, end = webhook.create_app(page.list_routes(), page.describe()), page.end_streams
            self._http_server = HttpServer(app, sockets.webhook, limits, on_reject, receiver, end)
            await self._http_server.start()

    def _start_loops(self) -> None:
        runtime_dir = self._configuration.environment.runtime_dir
        host_file = HostFile(runtime_dir, self._store, self.id, lambda: heartbeat.settled.settings_hash)
        self._exit_stack.callback(host_file.remove)
        components = self._components
        heartbeat = self._heartbeat = Heartbeat(
            self._store.daemons, self._build_record(), self._store.shards, self._readiness.measure_turn_age_ms,
            after=(self._store.counters.write, host_file.write), on_death=self._prober.forget_dead,
            read_requests=components.receiver.read_recent_requests,
            list_unknown_paths=components.receiver.list_unknown_paths,
            count_work=components.count_recent_work,
        )  # fmt: skip
        self._readiness.loops.watch("heartbeat", heartbeat.measure_age_s)
        watch = Watch(components, self._readiness, lambda: heartbeat.settled, self._notifier)
        self._start_task(watch.run(self._stopping))
        self._start_task(heartbeat.run(self._stopping))
        for loop in components.create_loops(self._stopping):
            self._start_task(loop)
        if self._embedded is not None:
            self._start_task(watch_server(self._embedded, self._stopping))
        if self._settings.daemon.stats_log_s:
            self._start_task(log_stats(self._store, self._settings.daemon.stats_log_s, self._stopping))

    def _build_record(self, settings: Settings | None = None) -> DaemonRecord:
        settings = settings or self._components.settings
        listening = Listening(self.url, self.monitor_url, self._passed.unit)
        files = self._configuration.file_hashes
        return build_record(settings, self.id, listening, files, is_rolling_out=self._is_rolling_out)

    def _start_task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._on_end)
        self._tasks = [*(task for task in self._tasks if not task.done()), task]

    def _on_end(self, task: asyncio.Future[None]) -> None:
        """Stop the daemon when a component fails: systemd starts it again, and nothing runs without the rest."""
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._failure = self._failure or problem
            self._stopping.set()
            _log.error(
                "component_failed", problem=repr(problem), exc_info=problem,
                next="the daemon stops, to be started again",
            )  # fmt: skip

    def _check_readiness(self) -> tuple[str, dict[str, Any]]:
        return self._readiness.answer(self._store, self._components.preflight.run_id)

    def install_signal_handlers(self) -> None:
        """Handle SIGTERM, SIGINT and SIGHUP. Call it before the start: until then a signal ends the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._start_task(self.reload()))

    async def wait_for_stop(self) -> None:
        """Wait until a signal comes or a component fails."""
        await self._stopping.wait()

    def _on_signal(self, number: int) -> None:
        if self._stopping.is_set():
            if self._embedded is not None:
                self._embedded.stop()
            os._exit(INTERRUPTED)
        self._stopping.set()
        limit_exit(LIMIT_S)
        _log.info("daemon_stopping", signal=signal.Signals(number).name)

    async def reload(self) -> None:
        """Read the settings again. If they are wrong, the old ones stay. No message is lost meanwhile."""
        if self._load is None or self._heartbeat is None:
            return  # still starting, with settings that were read a moment ago
        async with self._reloading:
            self._notifier.notify_reloading()
            why: list[str] = []
            try:
                await self._apply(self._passed.use_addresses(self._load()), self._heartbeat)
            except RfctlError as problem:
                why = problem.problems if isinstance(problem, SettingsError) else [problem.fact]
                self._heartbeat.refuse_reload("; ".join(why))
                _log.error("settings_rejected", problems=why, next="the old ones stay; mend them and reload")
            finally:
                self._notifier.notify_reloaded(mask_urls("; ".join(why)))

    async def _apply(self, configuration: Configuration, heartbeat: Heartbeat) -> None:
        await self._components.check_peers(configuration.settings, self._build_record)
        after_a_restart = await self._components.reconfigure(configuration.settings)
        self._configuration = configuration
        heartbeat.reconfigure(self._build_record())
        log = configuration.settings.log
        logs.configure(level=log.level, format=log.format, mask=log.mask)
        if self._http_server is not None:
            self._components.log_notices()
        files = [str(path) for path in configuration.files]
        _log.info("settings_reloaded", files=files, after_a_restart=after_a_restart)

    async def stop(self) -> None:
        """Close the listener, answer open requests and hand over; once. Raises what made a component fail."""
        if self._stopped:
            return
        self._stopped = True
        self._stopping.set()
        self._notifier.notify_stopping()
        step = "the rest is in Redis, and is handed over at the next start"
        try:
            async with asyncio.timeout(self._drain_s):
                await self._drain()
        except TimeoutError:
            _log.warning("drain_incomplete", next=step)
        except RfctlError as problem:
            _log.warning("redis_unavailable", component="stop", problem=problem.fact, next=step)
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure

    async def _drain(self) -> None:
        commit = self._components.receiver.group_commit
        servers = [server for server in (self._http_server, self._monitor) if server is not None]
        ends = [*(server.stop() for server in servers), commit.wait_until_idle()]  # also of clients that left
        answering = [asyncio.ensure_future(end) for end in ends]
        await asyncio.wait(answering, timeout=_CONFIRM_S)
        await commit.close()
        await asyncio.gather(*answering)
        self._components.scheduler.wake()
        await asyncio.wait([*self._tasks, asyncio.ensure_future(self._components.supervisor.stop())])
        failed = [task for task in self._tasks if not task.cancelled() and task.exception() is not None]
        if self._components.has_role("processor") and self._components.preflight.passed and not failed:
            await hand_over_rest(self._components, self.id)
        await self._store.counters.write()
        if self._heartbeat is not None:
            await self._heartbeat.remove_record()
        await self._components.canary.forget(self.id)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):  # sockets of a Redis that hangs
            async with asyncio.timeout(_CLOSE_S):
                await self._exit_stack.aclose()
