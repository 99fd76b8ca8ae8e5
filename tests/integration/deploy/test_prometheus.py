"""A real Prometheus scrapes real daemons through one fault after another: each alert fires and clears, each panel has data."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.support.keys import SHARD
from tests.support.parents import tie_to_parent
from tests.support.processes import RFCTL, Daemon, environment, rfctl
from tests.support.prometheus import Episode, Prometheus
from tests.support.queries import list_alerts, list_panel_queries
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
QUIET = {
    "RFCTL_BATCHING__QUIET_MS": "200",
    "RFCTL_BATCHING__MAX_WAIT_MS": "2000",
    "RFCTL_DAEMON__DRAIN": "all",
}


MEASURES_OF_SPEED = {"RfctlHandoversLate", "RfctlRedisSlow"}
"""What they measure may happen at any time on a busy machine."""


@dataclass
class Chapter:
    """A story, when it began (s), and which alerts it waited for, with the labels that it knows."""

    name: str
    began_s: float
    fired: set[tuple[str, frozenset[tuple[str, str]]]] = field(default_factory=set)


def list_flapping(chapters: list[Chapter], episodes: list[Episode]) -> list[str]:
    """Return the alerts that did not fire just once, for the same labels, between the begin of a story and of the next."""
    ends = [*(chapter.began_s for chapter in chapters[1:]), float("inf")]
    return [
        f"{chapter.name}: {name} {sorted(labels)} fired at {begins}"
        for chapter, end in zip(chapters, ends, strict=True)
        for name, labels in sorted(chapter.fired, key=str)
        if name not in MEASURES_OF_SPEED
        and (begins := list_begins(episodes, name, labels, chapter.began_s, end)) is not None
        and len(begins) != 1
    ]


def list_begins(
    episodes: list[Episode], name: str, labels: frozenset[tuple[str, str]], since_s: float, until_s: float
) -> list[float]:
    return [
        episode.began_s
        for episode in episodes
        if episode.alert == name and labels <= episode.labels and since_s <= episode.began_s < until_s
    ]


@dataclass
class Scene:
    """Two daemons on one Redis, with two receivers and a worker's group, and what watches them."""

    tmp_path: Path
    redis: RedisServer
    variables: dict[str, Any]
    receivers: dict[str, HttpReceiver]
    daemons: list[Daemon]
    prometheus: Prometheus
    chapters: list[Chapter] = field(default_factory=list)
    number: int = 0

    async def play(self, story: Callable[[Scene], Awaitable[None]]) -> None:
        """Play a story, after whatever the one before it has left."""

        async def is_quiet() -> bool:
            return not await self.prometheus.list_firing()

        await until(is_quiet, within_s=90)
        self.chapters.append(Chapter(story.__name__, self.prometheus.elapsed_s))
        await story(self)

    async def read_panel(self, title: str) -> float | None:
        """Return what a panel with a single number shows."""
        [query] = [query for name, query in list_panel_queries() if name == title]
        return await self.prometheus.find_value(query)

    async def send(
        self, count: int = 1, *, daemon: int = 1, kind: str = "application/json", phone: str = ""
    ) -> None:
        """Send so many messages of one person, or each of another."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            for _ in range(count):
                self.number += 1
                who = phone or f"7900{self.number:07}"
                body = f'{{"from": "{who}", "body": "hi", "id": "{self.number}"}}'
                url = self.daemons[daemon].url + "/webhook/generic"
                await http.post(url, content=body, headers={"Content-Type": kind})

    async def fires(self, name: str, **labels: str) -> None:
        await self.prometheus.wait_for_alert(name, **labels)
        self.chapters[-1].fired.add((name, frozenset(labels.items())))

    async def clears(self, name: str, **labels: str) -> None:
        await self.prometheus.wait_for_end(name, **labels)

    async def call(self, *line: str) -> None:
        """Run a command of the operator."""
        done = await asyncio.to_thread(rfctl, self.tmp_path, *line, **self.variables)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def client_of(server: RedisServer) -> Iterator[redis.Redis]:
    client = server.client()
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
async def scene(own_server: ServerMaker, tmp_path: Path) -> AsyncIterator[Scene]:
    server = own_server()
    async with contextlib.AsyncExitStack() as stack:
        receivers = {name: await stack.enter_async_context(HttpReceiver()) for name in ("bot", "crm")}
        variables = QUIET | {"RFCTL_REDIS__URL": server.url}
        for name, delays in (("bot", [500] * 50), ("crm", [10])):
            sink = {
                "TYPE": "http", "URL": receivers[name].url, "ALLOW_PRIVATE": "true", "RETRY_DELAYS_MS": str(delays),
            }  # fmt: skip
            variables |= {f"RFCTL_SINKS__{name.upper()}__{key}": value for key, value in sink.items()}
        daemons = []
        for role in ("all", "webhook"):
            daemon = await asyncio.to_thread(Daemon, tmp_path, "--role", role, **variables)
            daemons.append(stack.enter_context(daemon))
        targets = [daemon.url.removeprefix("http://") for daemon in daemons]
        prometheus = await stack.enter_async_context(Prometheus(tmp_path, targets))
        yield Scene(tmp_path, server, variables, receivers, daemons, prometheus)


async def test_each_alert_fires_and_clears_and_each_panel_has_data(scene: Scene) -> None:
    await be_healthy(scene)
    for story in (
        fail_a_sink, give_messages_up, pause_a_sink, stop_workers, reject_requests, lose_the_log, slow_redis_down,
        take_redis_away, stop_the_processor, delete_a_batch,
    ):  # fmt: skip
        await asyncio.wait_for(scene.play(story), 200)
    assert {name for chapter in scene.chapters for name, _ in chapter.fired} == set(list_alerts())
    assert list_flapping(scene.chapters, await scene.prometheus.list_episodes()) == []
    empty = [
        f"{title}: {query}"
        for title, query in list_panel_queries()
        if not await scene.prometheus.count_values(query)
    ]
    assert empty == []


async def be_healthy(scene: Scene) -> None:
    """Messages go through, Prometheus counts them, and nothing is wrong."""

    async def is_counted() -> bool:
        query = 'max(rfctl_sink_deliveries_total{sink="bot",outcome="delivered"})'
        return await scene.prometheus.find_value(query) == 5

    async def all_is_quiet() -> bool:
        up = await scene.prometheus.find_value("sum(up)")
        return up == 2 and not await scene.prometheus.list_firing()

    await scene.send(5)
    await until(is_counted, within_s=90)
    await until(all_is_quiet, within_s=90)
    assert await scene.prometheus.find_value("sum(rfctl_daemon_messages_total)") == 5
    assert await scene.prometheus.find_value("max(rfctl_messages_total)") == 5
    for title, number in {"Daemons": 2, "Every daemon is ready": 1, "Redis answers": 1, "Errors": 0}.items():
        assert await scene.read_panel(title) == number, title

    async def has_gaps() -> bool:
        return await scene.prometheus.find_value("sum(rfctl_daemon_message_gap_seconds_count)") == 2

    await scene.send(3, phone="79001234567")
    await until(has_gaps, within_s=90)
    sizes = 'sum(rfctl_daemon_batch_messages_bucket{le="2.0"})', "sum(rfctl_daemon_batch_messages_count)"
    assert [await scene.prometheus.find_value(query) for query in sizes] == [5, 6]


async def fail_a_sink(scene: Scene) -> None:
    scene.receivers["bot"].answers = lambda _: 503
    await scene.send()
    await scene.fires("RfctlSinkBehind", sink="bot")
    await scene.fires("RfctlErrorFinding", code="sink_failing")
    await let_scrapes_miss_redis(scene)
    scene.receivers["bot"].answers = []
    await scene.clears("RfctlSinkBehind")
    await scene.clears("RfctlErrorFinding")


async def let_scrapes_miss_redis(scene: Scene) -> None:
    """For a moment the pages have nothing of Redis: what fires must go on."""
    with client_of(scene.redis) as client:
        send_command(client, "CLIENT", "PAUSE", 2_500, "ALL")
    for up in (0, 1):

        async def says() -> bool:
            return await scene.prometheus.find_value("min(rfctl_redis_up)") == up  # noqa: B023 - awaited here

        await until(says, within_s=90, pause_s=0.2)


async def give_messages_up(scene: Scene) -> None:
    scene.receivers["crm"].answers = lambda _: 500
    await scene.send()
    await scene.fires("RfctlMessagesDead", sink="crm")
    assert await scene.read_panel("Dead letters") == 1, "two daemons say so"
    await scene.fires("RfctlWarningFinding", code="dead_letters")
    scene.receivers["crm"].answers = []
    await scene.call("dead", "drop", "--all", "--yes")
    await scene.clears("RfctlMessagesDead")
    await scene.clears("RfctlWarningFinding")


async def pause_a_sink(scene: Scene) -> None:
    await scene.call("pause", "bot")
    await scene.send()
    await scene.fires("RfctlWarningFinding", code="sink_paused")
    assert await scene.prometheus.find_value('max(rfctl_sink_paused{sink="bot"})') == 1
    await scene.call("resume", "bot")
    await scene.clears("RfctlWarningFinding")


async def stop_workers(scene: Scene) -> None:
    with client_of(scene.redis) as client:
        client.xgroup_create(SHARD.out, "workers", "$")
        await scene.send()
        await scene.fires("RfctlWarningFinding", code="group_unread")
        client.xgroup_destroy(SHARD.out, "workers")
    await scene.clears("RfctlWarningFinding")


async def reject_requests(scene: Scene) -> None:
    """They come at once, so the counter of a daemon goes from nothing to all of them between two scrapes."""
    rejected = 40
    await scene.send(rejected, kind="text/plain")
    await scene.fires("RfctlRequestsRejected", source="generic")
    await scene.send(11 * rejected)  # else it is a finding for ten minutes
    await scene.clears("RfctlRequestsRejected")
    await scene.clears("RfctlWarningFinding")


async def lose_the_log(scene: Scene) -> None:
    """A daemon whose log nobody reads, and that has no listener: the others show it."""
    reading, writing = os.pipe()
    command = [RFCTL, "serve", "--role", "forwarder"]
    variables = environment(scene.tmp_path, **scene.variables)
    deaf = subprocess.Popen(tie_to_parent(command), env=variables, stdin=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    os.close(reading)
    try:
        await scene.fires("RfctlLogLost")
        await scene.fires("RfctlWarningFinding", code="log_lines_lost")
    finally:
        deaf.terminate()
        await asyncio.to_thread(deaf.wait, 30)
    await scene.clears("RfctlLogLost")
    await scene.clears("RfctlWarningFinding")


async def slow_redis_down(scene: Scene) -> None:
    with client_of(scene.redis) as client:

        async def is_slow() -> bool:
            send_command(client, "CLIENT", "PAUSE", 900, "ALL")
            await asyncio.sleep(1)
            return bool(await scene.prometheus.list_firing("RfctlRedisSlow"))

        await until(is_slow, within_s=90)
    await scene.fires("RfctlRedisSlow")
    await scene.clears("RfctlRedisSlow")


async def take_redis_away(scene: Scene) -> None:
    scene.redis.kill()
    instances = [daemon.url.removeprefix("http://") for daemon in scene.daemons]
    for instance in instances:
        await scene.fires("RfctlRedisAway", instance=instance)
        await scene.fires("RfctlNotReady", instance=instance)
    assert await scene.prometheus.list_firing("RfctlDown") == []
    scene.redis.start()
    await scene.clears("RfctlRedisAway")
    await scene.clears("RfctlNotReady")


async def stop_the_processor(scene: Scene) -> None:
    processor, instance = scene.daemons[0], scene.daemons[0].url.removeprefix("http://")
    processor.send_signal(signal.SIGSTOP)
    try:
        await scene.send(3)
        await scene.fires("RfctlDown", instance=instance)
        assert await scene.read_panel("Every daemon is ready") == 0
        await scene.fires("RfctlBatchesOverdue")
        await scene.fires("RfctlErrorFinding", code="processor_missing")
    finally:
        processor.send_signal(signal.SIGCONT)
    await scene.fires("RfctlHandoversLate")
    for name in (
        "RfctlDown",
        "RfctlBatchesOverdue",
        "RfctlErrorFinding",
        "RfctlHandoversLate",
        "RfctlNotReady",
    ):
        await scene.clears(name)


async def delete_a_batch(scene: Scene) -> None:
    """Another program deletes the list of a batch between its message and its due time."""
    with client_of(scene.redis) as client:

        async def is_missing() -> bool:
            await scene.send()
            for key in client.keys(SHARD.batch_prefix + "7900*"):
                client.delete(key)
            return bool(await scene.prometheus.list_firing("RfctlBatchesMissing"))

        await until(is_missing, within_s=90)
    await scene.fires("RfctlBatchesMissing")
    await scene.clears("RfctlBatchesMissing")


def send_command(client: redis.Redis, *words: str | int) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
