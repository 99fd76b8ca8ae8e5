"""A real server whose wall clock a test steps while it runs. See clock_shim.c."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S, until

SOURCE = Path(__file__).with_name("clock_shim.c")
_OFFSET = struct.Struct("=q")


def compile_shim(folder: Path) -> Path:
    """Compile the shim into this folder. Skips the test where no C compiler is installed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip(
            "no C compiler: the clock of a server cannot be stepped. Debian: apt-get install gcc libc6-dev"
        )
    library = folder / "clock_shim.so"
    command = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert built.returncode == 0, built.stderr
    return library


class SteppedServer(RedisServer):
    """A server with a clock of its own. Sleeps, timeouts and the test's clock stay as they are."""

    def __init__(self, kind: str, library: Path, *options: str) -> None:
        super().__init__(kind, *options)
        self._offset = self.folder / "clock_offset"
        self._offset.write_bytes(_OFFSET.pack(0))
        self.offset_ms = 0
        self.variables = {"LD_PRELOAD": str(library), "TEST_CLOCK_OFFSET": str(self._offset)}

    def read_clock_ms(self) -> int:
        """Return what the server takes for the time, Unix ms."""
        with self.client() as client:
            seconds, micros = client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def step(self, ms: int) -> None:
        """Step the clock by so many ms, and wait until the server goes by it."""
        self.offset_ms += ms
        with self._offset.open("r+b") as file:  # the file stays the one that the server has mapped
            file.write(_OFFSET.pack(self.offset_ms))
        await until(lambda: abs(self.read_clock_ms() - time.time() * 1000 - self.offset_ms) < 500)

    async def step_to_second_of_day(self, second: int) -> None:
        """Step the clock forward to this second of the next day (UTC)."""
        day_ms = 86_400_000
        await self.step(day_ms - self.read_clock_ms() % day_ms + second * 1000)
