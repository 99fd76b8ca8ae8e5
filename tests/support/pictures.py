"""Makes the pictures of screens in docs/pictures: a real daemon, real traffic for some minutes, Chromium and Textual.

Run it as `scripts/pictures`; `--minutes` says how long people write before the pictures are taken. The people and what
they write are the same each time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from textual.widgets import Static

from rfctl.assembly.batching import build_batch_sizes
from rfctl.assembly.sinks import list_configured_sinks
from rfctl.assembly.store import open_store
from rfctl.cli.top.app import TopApp
from rfctl.cli.top.deeds import Deeds
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.observe.watching import Watcher
from tests.support.browser import Browser, opening_chromium
from tests.support.house import House
from tests.support.png import shrink_png
from tests.support.servers import KINDS, RedisServer
from tests.support.waiting import until, wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
MAX_BYTES = 150_000
_WIDTH = 1200
_TERMINAL = (100, 28)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_PEOPLE = {
    "79001234567": ("Привет", "запишите меня", "на завтра к Анне", "пожалуйста"),
    "5511998765400": ("oi", "tudo bem?"),
    "4915112345678": ("Hallo", "ich wollte fragen", "ob am Freitag noch Platz bleibt"),
    "972541234512": ("שלום", "אפשר לקבוע תור ליום ראשון?"),
    "447700900123": ("hi", "one more thing", "can I bring my dog?"),
    "34600111222": ("hola", "buenas tardes", "¿tienen hora mañana?"),
    "33612345698": ("bonjour",),
}
_HELD, _STRANGER = "420601234577", "79007654321"


def write_for(house: House, seconds: float) -> None:
    """Let people write as they do: some messages, and then a while of silence."""
    dice, deadline = random.Random(7), time.monotonic() + seconds
    while time.monotonic() < deadline:
        wave = 1 + (time.monotonic() % 240) / 80  # more people write, and fewer again
        phone = str(79_010_000_000 + dice.randrange(400))
        house.write(phone, *("hello", "are you there?", "it is urgent", "thanks")[: dice.randint(1, 4)])
        time.sleep(dice.expovariate(wave))


def prepare(house: House) -> None:
    """Let things go wrong as they do: a receiver fails, a sink is paused, a person is held, requests are refused."""
    house.write(_STRANGER, "is this the clinic?")
    wait_until(lambda: house.read_state()["flow"]["dead"] or house.read_state()["waiting"]["batches"] == 0)
    house.act("pause", {"sink": "audit", "note": "moving"})
    house.act("hold", {"phone": _HELD, "for": "4h", "note": "Eva talks to them"})
    house.write(_HELD, "thank you, I wait", "is it ready?", source="salon")
    house.statuses["crm"] = 503


def let_people_wait(house: House) -> Iterator[None]:
    """Let each of the people write again and again, some words each time; a look at the screen is between two rounds."""
    for turn in itertools.count():
        for phone, texts in _PEOPLE.items():
            house.write(phone, *texts[turn % len(texts) :])
            time.sleep(0.4)
        yield


def take_pictures_of_page(house: House, browser: Browser, folder: Path) -> None:
    """Write both pictures of the page, each as soon as some people wait."""
    for theme in ("light", "dark"):
        browser.open(house.url + "/", width=_WIDTH, theme=theme)
        browser.wait_for_text("#redis-line", "AOF")
        for _ in let_people_wait(house):
            if len(browser.find_all(".batch")) >= len(_PEOPLE):
                break
        path = folder / f"page-{theme}.png"
        browser.take_picture(path)
        path.write_bytes(shrink_png(path.read_bytes()))
        assert path.stat().st_size <= MAX_BYTES, f"{path} has {path.stat().st_size} bytes"


def take_picture_of_top(house: House, folder: Path) -> None:
    """Write the picture of `rfctl top`, as soon as some people wait."""
    for _ in let_people_wait(house):
        if house.read_state()["waiting"]["batches"] >= len(_PEOPLE):
            break
    (folder / "top.svg").write_text(asyncio.run(draw_top(house)))


async def draw_top(house: House) -> str:
    """Return the screen of `rfctl top` as SVG, as soon as it has looked."""
    configuration = load(Environment({"HOME": str(house.settings_file.parent)}, house.settings_file))
    settings, store = configuration.settings, open_store(configuration)
    app = TopApp(
        Watcher(store, list_configured_sinks(settings), sizes=build_batch_sizes(settings)),
        Deeds(store, settings),
    )
    try:
        async with app.run_test(size=_TERMINAL) as pilot:
            await until(lambda: "waiting" in str(app.query_one("#board", Static).content))
            app.action_move(1)
            await pilot.pause()
            return strip_fonts(app.export_screenshot(title="rfctl top"))
    finally:
        await store.close()


def strip_fonts(svg: str) -> str:
    """Return a picture that loads nothing from elsewhere."""
    return _FONTS.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, Consolas, monospace")


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(
        description="Make the pictures of the page and of rfctl top from a real run."
    )
    parser.add_argument("--minutes", type=float, default=12.0, help="how long people write before (12)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    parser.add_argument("--only", choices=("page", "top"), help="which screen (both)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    server = RedisServer(KINDS[0], "--appendonly", "yes")
    with tempfile.TemporaryDirectory() as folder:
        try:
            with House(Path(folder), server.start().url) as house:
                prepare(house)
                write_for(house, options.minutes * 60)
                if options.only != "page":
                    take_picture_of_top(house, options.folder)
                if options.only != "top":
                    with opening_chromium() as browser:
                        take_pictures_of_page(house, browser, options.folder)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
