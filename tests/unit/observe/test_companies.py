"""A name that is made of a company, and a source that has none."""

from __future__ import annotations

from rfctl.assembly.sinks import list_unset_companies
from rfctl.config.settings import Settings
from rfctl.observe.companies import find_unset_companies
from rfctl.observe.examination import Examination
from rfctl.observe.facts import UnsetCompany
from rfctl.observe.health import findings


def test_source_without_a_company_is_found_where_a_name_needs_one() -> None:
    settings = Settings.model_validate({
        "sources": {"generic": {"secrets": ["s"]}, "salon": {"type": "telegram", "secrets": ["s"], "company": 7}},
        "sinks": {
            "bot": {"type": "bullmq", "queue": "company-{company}-messages"}, "all": {"type": "list", "key": "bot:all"},
        },
    })  # fmt: skip
    [unset] = list_unset_companies(settings)
    assert unset == UnsetCompany("generic", "sinks.bot.queue", "company-none-messages")


def test_finding_says_where_the_messages_go_and_what_to_set() -> None:
    unset = UnsetCompany("generic", "sinks.bot.queue", "company-none-messages", "config.toml:7")
    examination = Examination(unset_companies=(unset,))
    [finding] = find_unset_companies(examination)
    assert (finding.code, finding.subject, finding.set_by) == ("company_unset", "generic", "config.toml:7")
    assert "company-none-messages" in finding.fact
    assert "sources.generic.company" in finding.fix
    assert finding in findings(None, examination)
