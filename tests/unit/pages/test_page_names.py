"""What pages for users name is there: settings, variables, findings, statuses, and words of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rfctl.ingest.openapi import build_document
from rfctl.sources.generic.node_form import BATCHED
from tests.support.site.names import USER_PAGES, WORDS_OF_OTHERS, list_name_faults
from tests.support.site.navigation import DOCS, ROOT


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_on_a_page_is_there(page: Path) -> None:
    assert list_name_faults(page.read_text()) == []


def test_names_of_others_are_on_pages() -> None:
    text = "".join(page.read_text() for page in USER_PAGES)
    assert [word for word in WORDS_OF_OTHERS if f"`{word}`" not in text] == []


def test_page_of_routes_has_every_status_of_the_webhook() -> None:
    table = (DOCS / "reference" / "http.md").read_text().partition("## Answers of the webhook")[2]
    listed = re.findall(r"(?m)^\| (\d{3}) \|", table.partition("\n## ")[0])
    answered = build_document({})["paths"][BATCHED]["post"]["responses"]
    assert listed == sorted({*answered, "405"})


@pytest.mark.parametrize(
    "text",
    [
        "Set `batching.silence_ms`.",
        "Set `batching.quiet = 5`.",
        "Set `sources.bot.secret`.",
        "Set `sinks.NAME.retry_ms`.",
        "Say `RFCTL_BATCHING__QUIET=5`.",
        "Say `RFCTL_SOURCES__BOT__SECRET`.",
        "It is the finding `sink_broken`.",
        "It answers 418.",
        "| 422 | the body is wrong |",
        "The log says `sink_broken`.",
        "Ask `GET /health`.",
        "Send `POST /admin/release/PHONE`.",
        "Run `python bench/memory.py`.",
        "Run `python -m bench speed`.",
    ],
)
def test_wrong_name_is_noticed(text: str) -> None:
    assert len(list_name_faults(text)) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "Set `batching.quiet_ms = 5`, `sources.bot.secrets` and `sinks.NAME.retry_delays_ms`.",
        "Say `RFCTL_BATCHING__QUIET_MS=5` or `RFCTL_SOURCES__BOT__SECRETS`, as in `RFCTL_SECTION__NAME`.",
        "It is the finding `sink_failing`, and the log says `delivery_failed`.",
        "It answers 413, took 512 MB, and listens on `443` and 127.0.0.1:8443.",
        "```sh\nrfctl config explain batching.nothing\n```",
        "Put it into `redis.conf`.",
        "Send `POST /admin/hold/79001234567`, `GET /page/find?phone=7` and `POST /webhook/shop`.",
        "Run `python -m bench memory` or `scripts/bench duel`.",
    ],
)
def test_right_name_passes(text: str) -> None:
    assert list_name_faults(text) == []
