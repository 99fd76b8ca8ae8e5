"""Draws the pictures of the pages from a real run: python -m tests.support.pictures

A Redis, a daemon and its sinks run for a few minutes while some people write; then `rfctl top` is drawn as it is. The
people and what they write are the same each time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from textual.widgets import Static

from rfctl.assembly.batching import build_batch_sizes
from rfctl.assembly.sinks import list_configured_sinks
from rfctl.assembly.store import open_store
from rfctl.cli.top.app import TopApp
from rfctl.cli.top.deeds import Deeds
from rfctl.config.loader import Configuration
from rfctl.observe.watching import Watcher
from tests.conftest import configure, running
from tests.support.servers import KINDS, RedisServer
from tests.support.waiting import until

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SIZE = (100, 28)
PEOPLE = ("79001234567", "79015550123", "5511987650000", "34600111222", "447700900123", "79261112233")
TEXTS = (
    "Привет!", "запишите меня на завтра", "в шесть, если можно", "oi", "tudo bem?", "quero agendar para sexta",
    "hola", "¿a qué hora abren?", "are you open today?", "thanks", "да", "спасибо",
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "sources__salon__type": "generic",
    "sinks__bot__type": "list", "sinks__bot__key": "bot:inbox",
    "sinks__archive__type": "list", "sinks__archive__key": "archive",
    "sinks__crm__type": "list", "sinks__crm__key": "crm",
}  # fmt: skip
_OUTSIDE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def write_messages(url: str, seconds: float) -> None:
    """Let the people write for so long: a few lines each, with pauses as people make."""
    choose = random.Random(7)
    end, number = time.monotonic() + seconds, 0
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            phone = choose.choice(PEOPLE)
            for _ in range(choose.randint(1, 4)):
                number += 1
                body = {"from": phone, "message": choose.choice(TEXTS), "messageId": f"m{number}"}
                async with session.post(url, json=body) as answer:
                    answer.raise_for_status()
                await asyncio.sleep(choose.uniform(0.1, 0.6))
            await asyncio.sleep(choose.uniform(0.1, 2.0))


async def draw_top(configuration: Configuration) -> str:
    """Return the screen as SVG, as soon as it has looked."""
    settings, store = configuration.settings, open_store(configuration)
    app = TopApp(
        Watcher(store, list_configured_sinks(settings), sizes=build_batch_sizes(settings)),
        Deeds(store, settings),
    )
    try:
        async with app.run_test(size=SIZE):
            await until(lambda: "waiting" in str(app.query_one("#board", Static).content))
            app.action_move(1)
            await asyncio.sleep(0.2)
            return without_fonts(app.export_screenshot(title="rfctl top"))
    finally:
        await store.close()


def without_fonts(svg: str) -> str:
    """Return a picture that loads nothing from elsewhere."""
    return _OUTSIDE.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, Consolas, monospace")


async def draw_all(seconds: float, folder: Path) -> None:
    """Run rfctl for so long, and write the pictures."""
    server = RedisServer(KINDS[0]).start()
    try:
        async with AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            configuration = configure(server.url, home, **SETTINGS)
            daemon = await stack.enter_async_context(running(configuration))
            await pause_crm(configuration)
            writing = asyncio.create_task(write_messages(f"{daemon.url}/webhook/salon", seconds))
            await asyncio.wait([writing], timeout=seconds - 2)
            picture = await draw_top(configuration)
            await writing
    finally:
        server.stop()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.svg").write_text(picture)


async def pause_crm(configuration: Configuration) -> None:
    """Pause a sink, as an operator does who moves it."""
    store = open_store(configuration)
    try:
        await store.paused_sinks.pause("crm", "moves to the new host")
    finally:
        await store.close()


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the pages from a real run.")
    parser.add_argument("--seconds", type=float, default=250, help="how long people write before (250)")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where the pictures go")
    options = parser.parse_args()
    asyncio.run(draw_all(options.seconds, options.folder))


if __name__ == "__main__":
    main()
