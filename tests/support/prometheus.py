"""A real Prometheus that a test starts itself: it scrapes every second, and its alerts wait seconds in place of minutes."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.support.processes import Process, environment
from tests.support.queries import ALERTS
from tests.support.servers import pick_port
from tests.support.waiting import until

WINDOW_S = 5
_OLD_S = 3
"""How old the oldest message of a sink may be, in place of 300 s."""


def hurry(rules: str) -> str:
    """Return the alerts with short waits, windows and ages; all else stays as it is."""
    rules = re.sub(r"(?m)^( +for:) .*$", r"\1 1s", rules)
    rules = re.sub(r"\[\d+[mh]\]", f"[{WINDOW_S}s]", rules)
    return rules.replace(" > 300\n", f" > {_OLD_S}\n")


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which an alert fired for these labels, in seconds since the start."""

    alert: str
    labels: frozenset[tuple[str, str]]
    began_s: float
    ended_s: float


class Prometheus:
    """Scrapes these addresses (`host:port`) as the job rfctl. Skips the test where Prometheus is not installed."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        path = shutil.which("prometheus")
        if path is None:
            pytest.skip("needs prometheus (Debian's prometheus)")
        self._folder, self._port, self._targets = folder, pick_port(), targets
        self._command = [
            path, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn",
        ]  # fmt: skip
        self._began_at = time.time()

    async def __aenter__(self) -> Self:
        (self._folder / "alerts.yml").write_text(hurry(ALERTS.read_text()))
        job = {"job_name": "rfctl", "static_configs": [{"targets": list(self._targets)}]}
        times = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        settings = {"global": times, "rule_files": ["alerts.yml"], "scrape_configs": [job]}
        (self._folder / "prometheus.yml").write_text(json.dumps(settings))
        self._process = Process(self._command, environment(self._folder))
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=30)
        await until(self._is_ready)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        self._process.kill()

    @property
    def elapsed_s(self) -> float:
        """The time since its start."""
        return time.time() - self._began_at

    async def _is_ready(self) -> bool:
        assert self._process.runs, self._process.stderr.lines[-5:]
        try:
            return (await self._http.get("/-/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def _ask(self, path: str, **parameters: Any) -> Any:
        answer = await self._http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def find_value(self, query: str) -> float | None:
        """Return the value of the first result of a query now; None if it has none."""
        result = (await self._ask("query", query=query))["result"]
        return float(result[0]["value"][1]) if result else None

    async def count_values(self, query: str) -> int:
        """Return how many numbers a query has had since the start."""
        query = query.replace("$__rate_interval", f"{WINDOW_S}s")
        data = await self._ask("query_range", query=query, start=self._began_at, end=time.time(), step="1s")
        values = [value for series in data["result"] for _, value in series["values"]]
        return sum(value != "NaN" for value in values)

    async def list_episodes(self) -> list[Episode]:
        """Return each time that an alert has fired since the start, in the order of their begin."""
        query = 'sum without (severity, alertstate) (ALERTS{alertstate="firing"})'
        data = await self._ask("query_range", query=query, start=self._began_at, end=time.time(), step="1s")
        episodes = []
        for series in data["result"]:
            labels = dict(series["metric"])
            name = labels.pop("alertname")
            labels.pop("job", None)
            moments = [moment - self._began_at for moment, _ in series["values"]]
            breaks = [place for place in range(1, len(moments)) if moments[place] - moments[place - 1] > 1.5]
            for first, end in itertools.pairwise([0, *breaks, len(moments)]):
                episodes.append(Episode(name, frozenset(labels.items()), moments[first], moments[end - 1]))
        return sorted(episodes, key=lambda episode: episode.began_s)

    async def list_firing(
        self, name: str = "", labels: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the alerts that fire now, all of them or those of a name with these labels among theirs."""
        alerts = (await self._ask("alerts"))["alerts"]
        return [
            alert
            for alert in alerts
            if alert["state"] == "firing"
            and name in ("", alert["labels"]["alertname"])
            and (labels or {}).items() <= alert["labels"].items()
        ]

    async def wait_for_alert(self, name: str, **labels: str) -> None:
        """Wait until an alert fires. It must be one, with its texts filled in."""

        async def fires() -> Any:
            return await self.list_firing(name, labels)

        [alert] = await until(fires, within_s=90, pause_s=0.3)
        for text in alert["annotations"].values():
            assert text
            assert "<error" not in text, text
            assert "{{" not in text, text

    async def wait_for_end(self, name: str, **labels: str) -> None:
        """Wait until an alert fires no more."""

        async def is_over() -> bool:
            return not await self.list_firing(name, labels)

        try:
            await until(is_over, within_s=90, pause_s=0.3)
        except AssertionError as problem:
            labels_left = [alert["labels"] for alert in await self.list_firing()]
            raise AssertionError(f"{name} does not end; these fire: {labels_left}") from problem
