"""What is not wrong in the settings, and worth a line; and what is nothing at all."""

from __future__ import annotations

from pathlib import Path

from rfctl.config.options import find_option
from tests.unit.config.test_settings import credentials, loaded


def test_empty_credential_sets_nothing(tmp_path: Path) -> None:
    folder = credentials(tmp_path, **{"redis.url": "\n"})
    configuration = loaded(tmp_path, "[redis]\nurl = 'redis://h'\n", CREDENTIALS_DIRECTORY=folder)
    assert configuration.settings.redis.url == "redis://h"
    assert configuration.overrides(find_option("redis.url")) == []


def test_queue_of_a_company_that_no_source_names_is_noticed(tmp_path: Path) -> None:
    text = """
[sources.bot]
type = "telegram"
[sources.salon]
type = "telegram"
company = "7"
[sources.api]
type = "generic"
[sinks.jobs]
type = "bullmq"
queue = "company-{company}-messages"
"""
    assert loaded(tmp_path, text).notices == [
        "sinks.jobs.queue has {company}, and [sources.bot] has none: its messages go to company-none-messages"
    ]
    named = text.replace("[sources.salon]", "company = 8\n[sources.salon]")
    assert loaded(tmp_path, named).notices == []
