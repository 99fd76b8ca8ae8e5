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
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from rfctl import __version__, logs
from rfctl.connection import Connection
from rfctl.deliveries import make_group
from rfctl.embedded import EmbeddedStore
from rfctl.entrances import check_open_to_all, entrances, insecure
from rfctl.errors import (
    INTERRUPTED,
    RedisCannotNowError,
    RedisUnreachableError,
    RfctlError,
    SettingsError,
    StoreError,
)
from rfctl.exits import forwarded, worker_groups
from rfctl.forwarders import Forwarders
from rfctl.heartbeat import Daemon, Heartbeat, alive
from rfctl.intake import Intake
from rfctl.layers import Configuration
from rfctl.listener import Listener, bind
from rfctl.message import Added, Message
from rfctl.notify import Notifier
from rfctl.options import options, value_of
from rfctl.overview import overview
from rfctl.processor import Processor
from rfctl.pulse import Pulse
from rfctl.quarantine import Quarantine
from rfctl.reception import Reception
from rfctl.settings import EMBEDDED, Settings
from rfctl.trimming import Trimmer
from rfctl.vetting import Vetting
from rfctl.waiting import pause
from rfctl.webhook import Webhook
from rfctl.wiring import describe, embedded_folder, open_batches, rules_of

_log = structlog.get_logger("daemon")
_STOP_S = 4.5
_LEAST_CHECK_MS = 10
_AT_START = ("redis.", "http.", "output.stream", "daemon.")
"""Settings that hold from the start of a daemon to its end."""


class Service:
    """One daemon: `start`, `wait`, `stop`; a test can do the same without a process."""

    def __init__(self, configuration: Configuration, load: Callable[[], Configuration] | None = None) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._load = load
        self._notifier = Notifier(configuration.environment.variables)
        self._pulse = Pulse(self._notifier)
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = contextlib.AsyncExitStack()
        self._embedded: EmbeddedStore | None = None
        self._listener: Listener | None = None
        self._stopping = asyncio.Event()
        self._stopped = False
        self.id = uuid.uuid4().hex[:12]

    @property
    def url(self) -> str:
        """Where the webhook listens, or "" without one."""
        return self._listener.url if self._listener else ""

    def _does(self, role: str) -> bool:
        return self._settings.daemon.roles in ("all", role)

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
        if not self._does("webhook"):
            return None
        check_open_to_all(self._settings)
        for name in insecure(self._settings):
            _log.warning(
                "unverified_requests_taken",
                source=name,
                next=f"set sources.{name}.secrets, and take away insecure",
            )
        return bind(self._settings.http.host, self._settings.http.port)

    def _open_store(self) -> None:
        url = None
        if self._settings.redis.url == EMBEDDED:
            self._embedded = EmbeddedStore(embedded_folder(self._configuration))
            self._opened.callback(self._embedded.stop)
            store = self._embedded.start()
            url = store.url
            _log.info("embedded_store", url=store.tcp_url, socket=store.socket_path, pid=store.pid)
        self._address = self._configuration.address(url)
        self._connection = Connection.open(self._address)
        self._opened.push_async_callback(self._connection.close)
        self._batches = open_batches(self._configuration, self._connection)

    async def _build(self, listening: socket.socket | None) -> None:
        self._make_parts()
        await self._open_exits(self._settings)
        try:
            await self._vetting.once()
        except (RedisUnreachableError, RedisCannotNowError) as problem:
            _log.error("redis_away", problem=problem.fact, set_by=problem.set_by, next="waiting for it")
            self._begin(self._vetting.until_passed(self._stopping))
        if listening is not None:
            await self._listen(listening)
        self._heartbeat = Heartbeat(self._connection, self._description(), self._pulse.age_ms, self._beaten)
        self._begin(self._heartbeat.run(self._stopping))
        self._begin_loops()
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

    def _make_parts(self) -> None:
        settings, partitions = self._settings, self._batches.partitions
        self._processor = Processor(self._batches, check_ms=self._check_ms(), turned=self._pulse.turned)
        self._reception = Reception(
            entrances(settings),
            Intake(self._store),
            Quarantine(self._connection),
            mark=settings.batching.mark,
            max_body_bytes=settings.http.max_body_bytes,
            expect=self._processor.expect,
        )
        self._forwarders = Forwarders(self._address, partitions, self.id, self._ended)
        self._trimmer = Trimmer(
            self._connection, partitions, settings.output.keep_s, settings.output.keep_entries
        )
        self._vetting = Vetting(
            self._connection, allow_eviction=settings.redis.allow_eviction, shards=settings.redis.shards
        )

    def _check_ms(self) -> int:
        # A batch that another daemon opens right after a look is due its quiet_ms later: look again by then.
        shortest = rules_of(self._settings).policy.shortest_ms
        return max(_LEAST_CHECK_MS, min(self._settings.daemon.check_ms, shortest))

    async def _open_exits(self, settings: Settings) -> None:
        """Deliver to the sinks of these settings. Raises SettingsError before anything was changed."""
        if self._does("forwarder"):
            await self._forwarders.serve(forwarded(settings), self._redis_url())

    def _redis_url(self) -> str:
        return self._embedded.url if self._embedded else self._settings.redis.url

    def _description(self) -> Daemon:
        return describe(self._settings, self.id, self.url)

    def _begin_loops(self) -> None:
        if self._does("processor"):
            self._begin(self._process())
            self._begin(self._trim())
        if self._embedded is not None:
            self._begin(self._watch_store(self._embedded))
        if self._settings.daemon.stats_log_s:
            self._begin(self._log_stats())

    async def _listen(self, listening: socket.socket) -> None:
        http = self._settings.http
        webhook = Webhook(self._reception, self._batches, http.token, self._ready)
        self._listener = Listener(
            webhook.app(),
            listening,
            header_s=http.header_timeout_ms / 1000,
            body_s=http.body_timeout_ms / 1000,
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
            self._pulse.turned()
            await pause(self._stopping, 0.1)
        await self._processor.run(self._stopping)

    async def _trim(self) -> None:
        made = False
        while not made and not self._stopping.is_set():
            with contextlib.suppress(RfctlError):
                await self._make_worker_groups()
                made = True
            await pause(self._stopping, 0.5)
        await self._trimmer.run(self._stopping)

    async def _make_worker_groups(self) -> None:
        for shard in self._batches.partitions:
            for group in worker_groups(self._settings):
                await make_group(self._connection, shard.out, group)

    async def _beaten(self) -> None:
        if not self._does("processor"):
            self._pulse.turned()
        await self._reception.tally.write(self._connection, self._batches.partitions[0].totals)

    async def _ready(self) -> tuple[bool, dict[str, Any]]:
        turns, facts = await self._pulse.ready(self._connection, check_ms=self._settings.daemon.check_ms)
        return turns and self._vetting.passed, facts

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
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)

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

    def _hung_up(self) -> None:
        self._begin(self.reload())

    async def reload(self) -> None:
        """Read the settings anew; wrong ones are refused, and the old ones stay. No message is lost by it."""
        if self._load is None:
            return
        try:
            configuration = self._load()
            await self._use(configuration)
        except SettingsError as problem:
            _log.error(
                "settings_refused", problems=problem.problems, next="the old ones stay; mend them and reload"
            )
        except RfctlError as problem:
            _log.error("settings_refused", problem=problem.fact, next="the old ones stay; reload again")

    async def _use(self, configuration: Configuration) -> None:
        old, new = self._settings, configuration.settings
        if self._does("webhook"):
            check_open_to_all(new.model_copy(update={"http": old.http}))
        ways_in = entrances(new)
        await self._open_exits(new)
        kept = [
            one.name for one in options() if one.name.startswith(_AT_START) and _differs(one.name, old, new)
        ]
        output = new.output.model_copy(update={"stream": old.output.stream})
        self._settings = new.model_copy(
            update={"redis": old.redis, "http": old.http, "daemon": old.daemon, "output": output}
        )
        self._configuration = configuration
        self._batches.rules = rules_of(self._settings)
        self._reception.entrances, self._reception.mark = ways_in, new.batching.mark
        self._processor.check_ms = self._check_ms()
        self._trimmer.keep_s, self._trimmer.keep_entries = output.keep_s, output.keep_entries
        self._heartbeat.describe(self._description())
        logs.configure(level=new.log.level, format=new.log.format, mask=new.log.mask)
        await self._make_worker_groups()
        _log.info("settings_read", files=[str(path) for path in configuration.files], after_a_restart=kept)

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
        await self._reception.intake.settle()
        self._processor.wake()
        await asyncio.wait([*self._tasks, asyncio.ensure_future(self._forwarders.stop())])
        failed = [task for task in self._tasks if not task.cancelled() and task.exception() is not None]
        if self._does("processor") and self._vetting.passed and not failed:
            await self._hand_over_last()
        await self._reception.tally.write(self._connection, self._batches.partitions[0].totals)
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


def _differs(name: str, old: Settings, new: Settings) -> bool:
    return bool(value_of(old, name) != value_of(new, name))


async def serve(configuration: Configuration, load: Callable[[], Configuration]) -> None:
    """Run a daemon until it is told to stop; `load` reads the settings anew on SIGHUP.

    Raises RfctlError when it cannot start or a part fails.
    """
    service = Service(configuration, load)
    service.obey_signals()
    await service.start()
    await service.wait()
    await service.stop()
