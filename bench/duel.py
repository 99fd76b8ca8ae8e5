"""How many messages a second are taken in, side by side with what a user would pick instead: python -m bench duel

Each contender has a Redis of its own (AOF always), and all take turns within each cycle; whose turn it is not is stopped. wrk sends one message a request,
from 10,000 phones, each with a new id. A turn that was answered wrongly, or that stored another number of messages than
it acknowledged, makes the whole run fail. The limits beside them are the script `add` piped through one raw connection, and
an empty answer of uvicorn.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.contender import Contender, Running
from bench.contenders import CONTENDERS, open_server, running
from bench.cpu import read_cpu_s
from bench.errors import BenchError
from bench.load import Load, run_wrk
from bench.options import build_parser
from bench.piped import RawConnection, pack, record_adds, replay
from bench.results import Results, Row
from tests.support.servers import RedisServer

CONNECTIONS = (64, 256, 1)
A_CALL = (1, 50)
PIPED_MESSAGES, PIPED_PHONES, ON_WIRE = 5_000, 500, 64
WARM_UP_S, SETTLING_S = 1, 10
NOTE = (
    "One message a request. Server, Redis and generator are the CPU time of each, µs a message. Latencies are those of whole "
    "requests, ms."
)


def read_settled(count_stored: Callable[[], int]) -> int:
    """Return how many messages are stored, once those that were on their way at the end of a load have come."""
    before, deadline = -1, time.monotonic() + SETTLING_S
    while (stored := count_stored()) != before and time.monotonic() < deadline:
        before = stored
        time.sleep(0.2)
    return stored


def measure_turn(
    contender: Contender,
    live: Running,
    server: RedisServer,
    connections: int,
    seconds: float,
    results: Results,
) -> None:
    """Load a contender for some seconds, and keep its row; what does not add up is kept as a problem."""
    redis_pid = server.process.pid if server.process is not None else 0
    before = read_settled(live.count_stored) if live.count_stored else 0
    cpu, redis_cpu = read_cpu_s(live.pids), read_cpu_s([redis_pid])
    load = run_wrk(live.url, connections, seconds, prefix=f"{time.time_ns():x}", header=live.header)
    cpu, redis_cpu = read_cpu_s(live.pids) - cpu, read_cpu_s([redis_pid]) - redis_cpu
    stored = read_settled(live.count_stored) - before if live.count_stored else None
    problems = find_wrong_answers(load, stored, connections, may_refuse=contender.refuses)
    results.problems += [f"{contender.name}, {connections} connections: {problem}" for problem in problems]
    results.add(build_row(contender.name, load, connections, cpu, redis_cpu))


def find_wrong_answers(
    load: Load, stored: int | None, connections: int, each: int = 1, *, may_refuse: bool = False
) -> list[str]:
    """Return what is wrong with a turn. `stored` messages came of it, or None where nothing is stored.

    What was on its way at the end may be stored without an answer: at once, or by one that refuses much later.
    """
    problems = []
    if load.wrong and not may_refuse:
        problems.append(f"{load.wrong} of {load.requests} requests got no 2xx")
    if not load.requests and not may_refuse:
        problems.append("no request was answered")
    messages = load.acknowledged * each
    most = (load.requests + connections) * each
    if stored is not None and (stored < messages or (stored > most and not may_refuse)):
        problems.append(f"{messages} messages were acknowledged, and {stored} stored")
    return problems


def build_row(
    name: str, load: Load, connections: int, cpu_s: float, redis_cpu_s: float, each: int = 1
) -> Row:
    """Return the figures of a turn."""
    messages = max(1, load.acknowledged * each)
    return {
        "contender": name, "connections": str(connections), "messages/s": messages / load.seconds,
        "p50 ms": load.p50_us / 1000, "p99 ms": load.p99_us / 1000, "server µs": cpu_s / messages * 1e6,
        "Redis µs": redis_cpu_s / messages * 1e6, "generator µs": load.cpu_s / messages * 1e6,
    }  # fmt: skip


class PipedAdd:
    """The script `add` on a Redis of its own, so many messages a call."""

    def __init__(self, a_call: int, messages: int = PIPED_MESSAGES) -> None:
        self.server = open_server()
        self.name = f"add piped, {a_call} a call"
        self.messages = messages
        try:
            commands = asyncio.run(record_adds(self.server, messages, a_call, PIPED_PHONES))
            self._packed = [pack(command) for command in commands]
            self._connection = RawConnection.open(self.server)
        except BaseException:
            self.server.stop()
            raise

    def measure(self, seconds: float) -> tuple[float, float]:
        """Send all of the messages again and again. Returns messages a second, and the CPU of Redis, µs a message."""
        assert self.server.process is not None
        took = cpu = 0.0
        rounds = 0
        while took < seconds:
            self._connection.call([b"FLUSHALL"])
            before = read_cpu_s([self.server.process.pid])
            lasted, answers = replay(self._connection, self._packed, ON_WIRE)
            took, cpu = took + lasted, cpu + read_cpu_s([self.server.process.pid]) - before
            self._check(answers)
            rounds += 1
        return rounds * self.messages / took, cpu / (rounds * self.messages) * 1e6

    def _check(self, answers: Sequence[object]) -> None:
        # Behind the two numbers of each message there are lists, where batches have left.
        numbers = [
            number
            for answer in answers
            if isinstance(answer, list)
            for number in answer
            if isinstance(number, int)
        ]
        sizes = numbers[::2]
        if len(sizes) != self.messages or min(sizes) < 1:
            raise BenchError(f"{self.name}: a message was not stored")

    def close(self) -> None:
        """End its Redis."""
        self._connection.close()
        self.server.stop()


def choose(names: Sequence[str] | None) -> list[Contender]:
    """Return the contenders whose names begin so, or all."""
    if not names:
        return CONTENDERS
    return [
        contender
        for contender in CONTENDERS
        if contender.name.lower().startswith(tuple(name.lower() for name in names))
    ]


def rotate(contenders: Sequence[str], cycle: int) -> Iterator[str]:
    """Yield the names, another first in each cycle: nobody always comes behind the same other."""
    start = cycle % len(contenders) if contenders else 0
    yield from [*contenders[start:], *contenders[:start]]


def run_duel(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """Measure all contenders and limits in turns."""
    with contextlib.ExitStack() as stack:
        a_calls = A_CALL if options.limits else ()
        limits = [stack.enter_context(contextlib.closing(PipedAdd(a_call))) for a_call in a_calls]
        live = stack.enter_context(running(choose(options.only), folder, print))
        for _, where, _ in live.values():
            run_wrk(where.url, 16, WARM_UP_S, prefix=f"w{time.time_ns():x}", header=where.header)
            stack.enter_context(where.stopped())
        for cycle in range(options.cycles):
            for connections in options.connections:
                for name in rotate(list(live), cycle):
                    contender, where, server = live[name]
                    with where.awake():
                        measure_turn(contender, where, server, connections, options.seconds, results)
            for limit in limits:
                rate, cpu = limit.measure(options.seconds)
                results.add(
                    {"contender": limit.name, "connections": "1", "messages/s": rate, "Redis µs": cpu}
                )
            print(f"cycle {cycle + 1} of {options.cycles} is done", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print and write. Returns 1 after a wrong answer."""
    parser = build_parser("Contenders side by side.", cycles=5, seconds=3)
    parser.add_argument(
        "--only", action="append", help="a contender by the begin of its name; may be repeated"
    )
    parser.add_argument("--connections", type=int, action="append", help="64, 256 and 1 when it is not set")
    parser.add_argument("--no-limits", dest="limits", action="store_false", help="without the scripts piped")
    options = parser.parse_args()
    options.connections = options.connections or list(CONNECTIONS)
    results = Results("duel", NOTE)
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        run_duel(options, Path(folder), results)
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
