"""What libraries and Python write to stderr by themselves is a line of our log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, logging, threading, warnings
from rfctl.daemon.library_logs import bridge_library_logs
from rfctl.observe import logging as logs

logs.configure(level="info", format="json", mask=True)
bridge_library_logs()

class Bad:
    def __str__(self):
        raise ZeroDivisionError
    def __del__(self):
        raise OSError("while it was deleted")

warnings.warn("old\\x1b", DeprecationWarning)
logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
logging.getLogger("asyncio").error("never retrieved", exc_info=ValueError("lost"))
logging.getLogger("x").info("too low")
logging.getLogger("x").warning("%s", Bad())

def fail():
    raise KeyError("in a thread")

thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()

async def main():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)

asyncio.run(main())
logs.flush(30)
"""


def test_every_line_of_a_library_is_json() -> None:
    done = subprocess.run(
        [sys.executable, "-Wdefault", "-c", PROGRAM],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} == {"library_reported"}
    reports = {(line["component"], line["level"], line.get("problem", "")) for line in lines}
    assert reports == {
        ("py.warnings", "warning", ""),
        ("uvicorn.error", "warning", ""),
        ("asyncio", "error", "ValueError('lost')"),
        ("asyncio", "error", "KeyError('in a thread')"),
        ("thread", "error", "KeyError('in a thread')"),
        ("python", "error", "OSError('while it was deleted')"),
    }
    assert any(line["text"] == "Invalid request" for line in lines)
