"""Each right that is printed for rfctl's user is taken away while daemons run: nothing is lost, nothing doubled, all named.

Several daemons share a server: each has a user, a database and a share of the rights. While a right is missing, people
write, and their provider sends again until 2xx. Then the right is given back, and everything has to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from rfctl.daemon import watch
from rfctl.daemon.daemon import Daemon
from rfctl.store.keys import CommonKeys
from rfctl.store.rights import grant_command, list_useful
from tests.conftest import configure, running
from tests.support.receivers import HttpReceiver
from tests.support.restricted_user import RestrictedUser, Right, parse_rights, read_printed_rules
from tests.support.servers import KINDS, RedisServer
from tests.support.waiting import PATIENCE_S, until

POST = "/webhook/whatsapp/batched"
LANES = 4
ROUND_S = 0.3
"""The canary comes more often than usual: each right is to be named at its next round."""
USEFUL_RULES = {grant_command(command) for command in list_useful()}
"""No message depends on these: they are named, and the daemon stays ready."""
pytestmark = pytest.mark.timeout(600)


@dataclass(slots=True)
class Outcome:
    """What came of one missing right."""

    right: Right
    refused: list[str] = field(default_factory=list)
    """What Redis refused meanwhile."""
    is_named: bool = False
    last_answer: str = ""
    """What /readyz said last."""
    problems: list[str] = field(default_factory=list)


class Lane:
    """A daemon under a user of its own, with a list and a receiver behind it."""

    def __init__(self, server: RedisServer, number: int, folder: Path) -> None:
        self._server, self._number, self._folder = server, number, folder
        self._user = RestrictedUser(server, f"rfctl{number}", "inbox*")
        self._sent: list[str] = []

    async def test(self, rights: list[Right]) -> list[Outcome]:
        """Take these rights away one after another. Begins with a new daemon after a standstill."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(rights):
            async with self._life() as (service, receiver, http):
                while len(outcomes) < len(rights):
                    outcome = Outcome(rights[len(outcomes)])
                    outcomes.append(outcome)
                    await self._deprive(outcome, service, receiver, http)
                    if outcome.problems:
                        break
        return outcomes

    @contextlib.asynccontextmanager
    async def _life(self) -> AsyncIterator[tuple[Daemon, HttpReceiver, httpx.AsyncClient]]:
        self._sent = []
        with self._server.client() as client:
            client.execute_command("SELECT", self._number)
            client.execute_command("FLUSHDB")
        async with HttpReceiver() as receiver, self._watching():
            configuration = configure(
                self._user.build_url(self._number), self._folder, batching__quiet_ms=100,
                sinks__own__type="list", sinks__own__key="inbox", sinks__crm__type="http",
                sinks__crm__url=receiver.url, sinks__crm__allow_private=True,
            )  # fmt: skip
            async with running(configuration) as service, httpx.AsyncClient(trust_env=False) as http:
                await self._post(http, service, "first")
                await until(lambda: self._have_come(receiver))
                yield service, receiver, http

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Somebody follows the events: only then are they published."""
        with self._server.client() as client, client.pubsub() as follower:
            follower.subscribe(CommonKeys().events_channel(self._number))
            yield

    async def _deprive(
        self, outcome: Outcome, service: Daemon, receiver: HttpReceiver, http: httpx.AsyncClient
    ) -> None:
        before = self._user.read_refusals()
        self._user.take_away(outcome.right)
        writing = [
            asyncio.create_task(
                self._post(http, service, f"{outcome.right.rule}-{person}", phone=f"79{person}")
            )
            for person in range(3)
        ]
        try:
            outcome.is_named = await self._wait_until_named(outcome, service, http)
            outcome.refused = list(self._user.read_refusals() - before)
        finally:
            self._user.give_back()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*writing)
            await until(lambda: self._have_come(receiver))
        except (TimeoutError, AssertionError):
            outcome.problems.append(f"after it was given back: {await self._describe(receiver)}")
        outcome.problems += await self._find_doubled(receiver)
        for task in writing:
            task.cancel()

    async def _wait_until_named(self, outcome: Outcome, service: Daemon, http: httpx.AsyncClient) -> bool:
        async def is_named() -> bool:
            answer = await http.get(service.url + "/readyz", timeout=PATIENCE_S)
            outcome.last_answer = f"{answer.status_code} {answer.text}"
            is_needed = outcome.right.rule not in USEFUL_RULES and outcome.right.kind != "channel"
            is_answered = answer.status_code == (503 if is_needed else 200)
            return is_answered and outcome.right.word.lower() in answer.text.lower()

        with contextlib.suppress(AssertionError):
            return bool(await until(is_named))
        return False

    async def _post(self, http: httpx.AsyncClient, service: Daemon, text: str, phone: str = "790") -> None:
        """Send a message as a provider does: with the same id until it is accepted."""
        body = {"from": phone, "message": text, "messageId": text}
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.post(service.url + POST, json=body, timeout=PATIENCE_S)).is_success:
                    self._sent.append(text)
                    return
            await asyncio.sleep(0.1)

    def _read_list(self) -> list[str]:
        with self._server.client() as client:
            client.execute_command("SELECT", self._number)
            payloads = client.execute_command("LRANGE", "inbox", 0, -1)
        return [text for payload in payloads for text in json.loads(payload)["message"].split()]

    @staticmethod
    def _read_receiver(receiver: HttpReceiver) -> list[str]:
        """Return the texts of each webhook id once: an HTTP receiver may get a message again, under the same id."""
        first = {got["headers"]["webhook-id"]: got["body"]["message"] for got in receiver.taken}
        return [text for texts in first.values() for text in texts.split()]

    async def _have_come(self, receiver: HttpReceiver) -> bool:
        wanted = set(self._sent)
        return wanted <= set(self._read_list()) and wanted <= set(self._read_receiver(receiver))

    async def _describe(self, receiver: HttpReceiver) -> str:
        wanted = set(self._sent)
        in_list, at_receiver = wanted - set(self._read_list()), wanted - set(self._read_receiver(receiver))
        return f"not in the list {sorted(in_list)}, not at the receiver {sorted(at_receiver)}"

    async def _find_doubled(self, receiver: HttpReceiver) -> list[str]:
        places = {"list": self._read_list(), "receiver": self._read_receiver(receiver)}
        counts = {name: Counter(texts) for name, texts in places.items()}
        return [
            f"{name}: doubled {sorted(text for text, count in counter.items() if count > 1)}"
            for name, counter in counts.items()
            if max(counter.values(), default=0) > 1
        ]


async def deprive_of_all(server: RedisServer, folder: Path) -> list[Outcome]:
    rights = parse_rights(read_printed_rules())
    lanes = [Lane(server, number, folder) for number in range(LANES)]
    shares = [rights[number::LANES] for number in range(LANES)]
    outcomes = await asyncio.gather(*(lane.test(share) for lane, share in zip(lanes, shares, strict=True)))
    return [outcome for share in outcomes for outcome in share]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    """What came of each missing right."""
    server = RedisServer(KINDS[0], "--acllog-max-len", "10000")
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(watch, "ROUND_S", ROUND_S)
            yield asyncio.run(deprive_of_all(server.start(), tmp_path_factory.mktemp("rights")))
    finally:
        server.stop()


def test_daemon_needs_no_more_than_the_printed_rights(server: RedisServer, tmp_path: Path) -> None:
    async def serve() -> Counter[str]:
        lane = Lane(server, 0, tmp_path)
        async with lane._life():
            return lane._user.read_refusals()

    with server.client() as client:
        client.acl_log_reset()
    assert not asyncio.run(serve())


def test_no_missing_right_loses_or_doubles_a_message(outcomes: list[Outcome]) -> None:
    problems = [f"{outcome.right.rule}: {problem}" for outcome in outcomes for problem in outcome.problems]
    assert not problems, "\n".join(problems)


def test_each_missing_right_is_named_by_readyz(outcomes: list[Outcome]) -> None:
    assert sum(bool(outcome.refused) for outcome in outcomes) > 10, "hardly anything was refused"
    unnamed = [f"{outcome.right.rule}: {outcome.last_answer}" for outcome in outcomes if not outcome.is_named]
    assert not unnamed, "missing and not named:\n" + "\n".join(unnamed)
