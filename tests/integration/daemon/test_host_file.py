"""The file by which shells find a daemon: it follows its Redis, and a folder that refuses it stops nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
from structlog.testing import capture_logs

from rfctl.daemon.host_file import HostFile
from rfctl.observe.daemon_files import DaemonFile
from rfctl.store import Keyspace, Store
from rfctl.store.keys import DEFAULT_STREAM
from tests.support.servers import RedisServer, patient_address


async def test_file_names_the_redis_and_goes_with_the_daemon(server: RedisServer, tmp_path: Path) -> None:
    store = Store.open(patient_address(server.url), Keyspace(0, DEFAULT_STREAM))
    file = HostFile(tmp_path / "run", store, "abc", lambda: "0123456789ab")
    await file.write()
    path = tmp_path / "run" / "daemon-abc.json"
    daemon = msgspec.json.decode(path.read_bytes(), type=DaemonFile)
    assert daemon.run_id == (await store.server_info()).run_id
    assert (daemon.prefix, daemon.settings_hash) == ("", "0123456789ab")
    path.unlink()
    await file.write()
    assert path.exists(), "systemd may have removed the folder's files"
    file.remove()
    assert not path.exists()
    await store.close()


async def test_folder_that_refuses_is_said_once(server: RedisServer, tmp_path: Path) -> None:
    store = Store.open(patient_address(server.url), Keyspace(0, DEFAULT_STREAM))
    (tmp_path / "run").write_text("no folder")
    file = HostFile(tmp_path / "run", store, "abc", lambda: "0123456789ab")
    with capture_logs() as lines:
        await file.write()
        await file.write()
    assert [line["event"] for line in lines] == ["host_file_refused"]
    file.remove()
    await store.close()
