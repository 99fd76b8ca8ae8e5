"""What is not as the settings files say: a refused reload, an edited file, a log with gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rfctl.observe.settings_drift import find_drift, hash_file
from rfctl.store import DaemonRecord


def codes(**fields: Any) -> list[str]:
    daemon = DaemonRecord(id="d", host="here", pid=7, version="0", role="all", **fields)
    return [drift.code for drift in find_drift([daemon], host="here")]


def test_daemon_in_order_has_no_finding(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("a")
    assert codes(files={str(file): hash_file(b"a")}) == []


def test_refused_reload_is_named_with_its_reason() -> None:
    daemon = DaemonRecord(id="d", host="h", pid=7, version="0", role="all", reload_refused="http.port: no")
    [drift] = find_drift([daemon], host="other")
    assert drift.code == "reload_refused"
    assert "http.port: no" in drift.fact
    assert "kill -HUP 7" in drift.fix


def test_file_that_was_edited_since_it_was_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("a")
    files = {str(file): hash_file(b"a")}
    file.write_text("b")
    assert codes(files=files) == ["settings_edited"]
    assert codes(files=files, reload_refused="no") == ["reload_refused"], "that says it already"
    file.unlink()
    assert codes(files=files) == [], "it may be another container's"


def test_files_of_another_host_are_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("b")
    daemon = DaemonRecord(id="d", host="far", pid=7, version="0", role="all", files={str(file): "other"})
    assert list(find_drift([daemon], host="here")) == []


def test_lost_lines_of_a_log_are_a_finding() -> None:
    assert codes(lost_log_lines=3) == ["log_lines_lost"]
