"""docs/recipes/langgraph.md: its worker with a graph in place of LangGraph's, which dies once in the middle."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

from tests.support.recipes import Recipe, Site
from tests.support.servers import RedisServer

PAGE = Recipe("langgraph")
GRAPH = """
import pathlib

threads, died = {}, pathlib.Path("DIED")


class Answer:
    def __init__(self, content):
        self.content = content


class Graph:
    def invoke(self, state, config):
        [question] = state["messages"]
        assert question["role"] == "user"
        if "die" in question["content"] and not died.exists():
            died.write_text(question["id"])
            raise RuntimeError("the model is away")
        thread = threads.setdefault(config["configurable"]["thread_id"], [])
        thread.append(question["content"])
        same = died.exists() and died.read_text() == question["id"]
        return {"messages": [question, Answer(f"{len(thread)} {question['content']} {same}")]}


graph = Graph()


def send(merged, text):
    print(merged["phone"], text, flush=True)
"""


async def test_worker_answers_once_a_thought_and_again_after_it_died(
    server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "my_bot.py").write_text(GRAPH.replace("DIED", str(tmp_path / "died")))
    program, site = PAGE.take("python", "xreadgroup"), Site(tmp_path, server)
    async with site.serving(PAGE.take("toml", "[sinks.workers]")):
        async with site.working(program) as worker:
            for phone, count in (("7900", 4), ("7901", 2)):
                assert (await site.run(*simulate(phone, count))).returncode == 0
            await site.wait_until_acknowledged(3)
            assert [line.split(" msg")[0].split()[:2] for line in worker.stdout.lines] == [
                ["7900", "1"], ["7900", "2"], ["7901", "1"]
            ]  # fmt: skip
            line = (
                "XADD",
                "rfctl:out",
                "*",
                "phone",
                "7902",
                "text",
                "die",
                "batch_key",
                "7902",
                "delivery_id",
                "d1",
            )
            with server.client() as client:
                client.execute_command(*line)
            assert await asyncio.to_thread(worker.wait) == 1
            assert "the model is away" in await asyncio.to_thread(worker.stderr.read_all)
        async with site.working(program) as worker:
            assert await asyncio.to_thread(worker.stdout.read_line) == "7902 1 die True\n"
            await site.wait_until_acknowledged(4)


def simulate(phone: str, count: int) -> tuple[str, ...]:
    line = PAGE.take_line("rfctl simulate").split()[1:]
    line[line.index("--count") + 1] = str(count)
    return (*line, "--phone", phone)


def test_graph_of_the_page_has_what_the_worker_imports() -> None:
    names = {
        getattr(node, "name", "") or getattr(getattr(node, "targets", [None])[0], "id", "")
        for node in ast.parse(PAGE.take("python", "StateGraph")).body
    }
    assert {"graph", "send"} <= names
