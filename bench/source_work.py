"""Counts what sources need to verify and parse, a message: python -m bench source-work

Callgrind counts a run that reads nothing, and a run for each kind of work. What is between them is the work. The
requests are those of `bench kinds`. Valgrind is needed. Counts go by the versions of Python and the libraries.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).parents[1]))

from rfctl.sources.contract import Request, Source
from rfctl.sources.registry import SPECS

COUNT = 200
PREFIX = "17a3b4c5d6e7"
SECRET, PUBLIC_URL = "a_secret_of_the_bench", "https://bot.example.com"
"""As in `bench kinds`, which is too much to import under callgrind."""
GENERIC = b'{"from":"7900%07d","message":"hello there","messageId":"%d","companyId":"962302"}'
_COLLECTED = re.compile(r"Collected : (\d+)")


WORK = {
    "generic": ("generic", 1),
    "whatsapp-cloud": ("whatsapp-cloud", 1),
    "whatsapp-cloud-10": ("whatsapp-cloud", 10),
    "telegram": ("telegram", 1),
    "twilio": ("twilio", 1),
}
"""Name → type of the source, and the messages in a request."""


def build_requests() -> dict[str, list[Request]]:
    """Return the requests of each work."""
    from bench.kinds import build_telegram, build_twilio, build_whatsapp  # noqa: PLC0415 - what is counted needs none

    build: dict[str, Callable[..., Any]] = {
        "whatsapp-cloud": build_whatsapp, "telegram": build_telegram, "twilio": build_twilio,
        "generic": lambda number, *_: ("/webhook/generic", {}, GENERIC % (number, number)),
    }  # fmt: skip
    requests: dict[str, list[Request]] = {}
    for name, (kind, each) in WORK.items():
        for number in range(COUNT):
            path, headers, body = build[kind](number, PREFIX, each)
            fields = {key.lower(): value.encode() for key, value in headers.items()}
            requests.setdefault(name, []).append(Request("POST", path, "", fields, body))
    return requests


def build_source(kind: str) -> Source:
    """Return a source of a type, with the settings of `bench kinds`."""
    spec = SPECS[kind]
    settings: dict[str, Any] = {"type": kind}
    if kind != "generic":
        settings["secrets"] = [SECRET]
    if kind == "twilio":
        settings["public_url"] = PUBLIC_URL
    return spec.build_source("salon", spec.config.model_validate(settings), 65_536)


def read_requests(file: Path, name: str) -> None:
    """Verify and parse the requests of one work; none for "" (the start is then all)."""
    requests = pickle.loads(file.read_bytes())
    sources = {kind: build_source(kind) for kind, _ in WORK.values()}
    for request in requests.get(name, []):
        kind, each = WORK[name]
        assert kind == "generic" or sources[kind].verify(request, 0)
        assert len(sources[kind].parse(request.body).messages) == each


def count_run(file: Path, name: str) -> int:
    """Return the instructions of a run under callgrind."""
    program = [sys.executable, __file__, "--read", str(file), name]
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}.callgrind", *program],
        env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    match = _COLLECTED.search(done.stderr)
    assert match is not None, done.stderr
    return int(match[1])


def main() -> None:
    """Count all the work, or some of it."""
    parser = argparse.ArgumentParser(description="Counts what sources need to verify and parse.")
    parser.add_argument("--only", action="append", choices=list(WORK), help="count this alone")
    parser.add_argument("--read", nargs=2, metavar=("FILE", "NAME"), help="read requests, count nothing")
    options = parser.parse_args()
    if options.read:
        read_requests(Path(options.read[0]), options.read[1])
        return
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        file = Path(folder) / "requests"
        file.write_bytes(pickle.dumps(build_requests()))
        start = count_run(file, "")
        for name in options.only or WORK:
            count = (count_run(file, name) - start) // (COUNT * WORK[name][1])
            print(f"{name:18} {count:>9,} instructions a message", flush=True)


if __name__ == "__main__":
    main()
