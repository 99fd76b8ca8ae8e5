"""Makes the pictures of the page in docs/pictures: a real daemon, real traffic for some minutes, and Chromium.

Run it as `scripts/pictures`; `--minutes` says how long people write before the pictures are taken.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from pathlib import Path

from tests.support.browser import Browser, opening_chromium
from tests.support.house import House
from tests.support.png import shrink_png
from tests.support.servers import KINDS, RedisServer
from tests.support.waiting import wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
MAX_BYTES = 150_000
_WIDTH = 1200
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


def take_pictures(house: House, browser: Browser) -> None:
    """Write both pictures, each as soon as some people wait."""
    for theme in ("light", "dark"):
        browser.open(house.url + "/", width=_WIDTH, theme=theme)
        browser.wait_for_text("#redis-line", "AOF")
        for turn in itertools.count():
            for phone, texts in _PEOPLE.items():
                house.write(phone, *texts[turn % len(texts) :])
                time.sleep(0.4)
            if len(browser.find_all(".batch")) >= len(_PEOPLE):
                break
        path = FOLDER / f"page-{theme}.png"
        browser.take_picture(path)
        path.write_bytes(shrink_png(path.read_bytes()))
        assert path.stat().st_size <= MAX_BYTES, f"{path} has {path.stat().st_size} bytes"


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0)
    minutes = parser.parse_args().minutes
    FOLDER.mkdir(parents=True, exist_ok=True)
    server = RedisServer(KINDS[0], "--appendonly", "yes")
    with tempfile.TemporaryDirectory() as folder:
        try:
            with House(Path(folder), server.start().url) as house, opening_chromium() as browser:
                prepare(house)
                write_for(house, minutes * 60)
                take_pictures(house, browser)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
