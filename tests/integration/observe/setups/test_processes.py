"""Daemons and servers that are processes of their own: stopped by a signal, on a full disk, with a log that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.observe.setups.site import Site
from tests.support.parents import tie_to_parent
from tests.support.processes import RFCTL, Daemon, environment
from tests.support.servers import ServerMaker
from tests.support.waiting import PATIENCE_S


def build_variables(site: Site) -> dict[str, str]:
    """Return the settings of the site's shell, for a process; shells find it in the site's own folder."""
    return {
        "RFCTL_REDIS__URL": site.server.url, "RFCTL_HTTP__PORT": str(site.port), "RUNTIME_DIRECTORY": str(site.folder / "run"),
        "RFCTL_BATCHING__QUIET_MS": "5000", "RFCTL_BATCHING__MAX_WAIT_MS": "60000",
    }  # fmt: skip


async def test_daemon_that_is_stopped_by_a_signal_is_named(site: Site) -> None:
    port = ("--port", str(site.port))
    daemon = await asyncio.to_thread(Daemon, site.folder, *port, **build_variables(site))
    await site.wait_until_clean()
    daemon.send_signal(signal.SIGSTOP)
    words = ("is stopped by a signal", f"pid {daemon.pid} ", f"kill -CONT {daemon.pid}")
    await site.wait_for_first("daemon_hung", *words)
    site.run("DEL", "rfctl:daemons")  # as it is once its record is old
    await site.wait_for_first("daemon_hung", *words)
    daemon.send_signal(signal.SIGCONT)
    await site.wait_until_clean()
    await asyncio.to_thread(daemon.end)


@contextlib.contextmanager
def mounting_small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 32 MB; skips where this user may not."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )  # fmt: skip
    if mount.returncode:
        pytest.skip(f"needs a user that may mount a tmpfs: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def fill(disk: Path) -> Path:
    """Write a file until there is no room, and return it."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65_536))
        except OSError as problem:
            assert problem.errno == errno.ENOSPC
    return file


async def test_disk_of_redis_that_is_full_is_named(
    site: Site, tmp_path: Path, own_server: ServerMaker
) -> None:
    with mounting_small_disk(tmp_path / "disk") as disk:
        site.server = own_server("--dir", str(disk), "--appendfsync", "everysec")
        site.shell = site.configure()
        await site.start()
        await site.wait_until_clean()
        filler = await asyncio.to_thread(fill, disk)
        await site.wait_for_first("writes_refused", "its last write to the AOF failed")
        filler.unlink()
        await site.wait_until_clean()
        site.server.kill()


async def test_log_whose_reader_is_dead_is_named(site: Site) -> None:
    reader = subprocess.Popen(tie_to_parent(["cat"]), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    daemon = subprocess.Popen(
        tie_to_parent([RFCTL, "serve"]), env=environment(site.folder, **build_variables(site)),
        stdin=subprocess.DEVNULL, stderr=reader.stdin,
    )  # fmt: skip
    reader.stdin.close()
    try:
        await site.wait_until_clean()
        reader.kill()
        reader.wait(PATIENCE_S)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{site.port}", trust_env=False) as http:
            assert (await http.post("/webhook/generic", content=b"no JSON")).status_code in (400, 415)
        await site.wait_for_first("log_lines_lost", f"daemon {daemon.pid} ", "its stderr")
    finally:
        reader.kill()
        daemon.terminate()
        daemon.wait(PATIENCE_S)
    port = ("--port", str(site.port))
    again = await asyncio.to_thread(Daemon, site.folder, *port, **build_variables(site))
    await site.wait_until_clean()
    await asyncio.to_thread(again.end)
