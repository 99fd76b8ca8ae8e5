"""An operator types the pages from install to uninstall, as root, on a fresh host: each block works, and nothing is left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fresh_host import RULES, FreshHost
from tests.support.real_systemd import running
from tests.support.site.blocks import Block, read_blocks
from tests.support.waiting import wait_until

PAGES = Path(__file__).parents[3] / "docs/operations"
READY = "ready, listens on http://127.0.0.1:3000"
SOCKET = f"{READY} (rfctl.socket of systemd)"


@pytest.fixture
def host() -> Iterator[FreshHost]:
    with running(FreshHost()) as started:
        yield started


class Walk:
    """Types the blocks of one page after another; `left` are the commands that were not typed, and why."""

    def __init__(self, host: FreshHost) -> None:
        self.host = host
        self.left: list[str] = []

    def open(self, page: str) -> Iterator[Block]:
        """Type the blocks of a page, and give each when its commands have run."""
        self.host.begin_page()
        for block in read_blocks(PAGES / page):
            assert block.reason in ("", "needs root"), f"{page}:{block.line}: {block.reason}"
            self.left += self.host.follow(block).left
            yield block

    def type_all(self, page: str) -> None:
        for _ in self.open(page):
            pass

    def assert_runs(self, version: str, status: str, unit: str = "rfctl") -> None:
        """The service gets ready, and its program is that of this version."""
        host = self.host
        wait_until(lambda: host.show(unit, "ActiveState", "StatusText") == ["active", status], pause_s=0.2)
        pid = host.show(unit, "MainPID")[0]
        assert f"/opt/rfctl-{version}/" in host.type(
            f"readlink -f /opt/rfctl/; tr '\\0' ' ' < /proc/{pid}/cmdline"
        )
        wait_until(lambda: version in self._list_daemons(), pause_s=0.2)

    def _list_daemons(self) -> str:
        return json.dumps(json.loads(self.host.type("rfctl stats -o json"))["daemons"])


@pytest.mark.long
def test_pages_from_install_to_uninstall(host: FreshHost) -> None:
    before, walk = host.list_files(), Walk(host)
    [version] = re.findall("ln -sT rfctl-([0-9.]+) ", (PAGES / "install.md").read_text())

    for block in walk.open("install.md"):
        if block.code.endswith("systemctl status rfctl\n"):
            walk.assert_runs(version, READY)
            host.type("redis-cli CONFIG SET requirepass PASSWORD")  # the next block is for whoever has one
        if "redis://:PASSWORD@" in block.code:
            walk.assert_runs(version, READY)
            host.type("redis-cli --no-auth-warning -a PASSWORD CONFIG SET requirepass ''")
            host.type("rm -r /etc/rfctl/credentials; systemctl restart rfctl")
    walk.assert_runs(version, READY)

    walk.type_all("systemd.md")
    walk.assert_runs(version, SOCKET)
    assert host.show("rfctl@shop", "StatusText") == ["ready, listens on http://127.0.0.1:3001"]

    used = [version]
    for block in walk.open("upgrade.md"):
        if "systemctl restart" in block.code:
            used += re.findall("ln -sfnT rfctl-([0-9.]+) ", block.code)
            walk.assert_runs(used[-1], SOCKET)
    assert len(used) == 3
    assert used[0] == used[-1] != used[1]

    for block in walk.open("backup.md"):
        if "config show -o toml" in block.code:  # what comes next on this page is the copy
            host.type("redis-cli SET witness saved")
        if "--rdb" in block.code:
            host.type("redis-cli SET witness later")
    assert host.type("redis-cli GET witness; redis-cli CONFIG GET appendonly").split() == [
        "saved",
        "appendonly",
        "yes",
    ]
    assert "appendonly yes" in host.type("cat /etc/redis/redis.conf")

    walk.type_all("uninstall.md")
    for path in list_rest():
        host.type(f"rm -rf {path}")
    assert sorted(host.list_files() - before) == []
    assert {line.rpartition(": ")[2] for line in walk.left} <= set(RULES.values())


def list_rest() -> list[str]:
    """Return the places that the page names in its table, as far as this walk made them."""
    cells = re.findall(r"(?m)^\| [^|]+ \| (`/.*`) \|$", (PAGES / "uninstall.md").read_text())
    assert cells
    return [path.replace("NAME", "shop") for cell in cells for path in re.findall("`(/[^`]+)`", cell)]
