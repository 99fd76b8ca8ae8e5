"""Settings of sources that could never match, or that would change what came; pure."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.assembly.notices import list_notices
from rfctl.config.settings import Settings
from rfctl.errors import SettingsError
from rfctl.section import build_section
from rfctl.sources.registry import SPECS

MAP = {"phone": "from", "text": "text"}


def source(type_: str = "generic", **settings: Any) -> Any:
    return build_section(SPECS[type_].config, {"type": type_, **settings}, "sources.s")


@pytest.mark.parametrize(
    ("type_", "settings", "problem"),
    [
        ("generic", {"map": MAP, "auth_header": "X Token"}, "sources.s.auth_header: no request can have this header"),
        ("generic", {"map": MAP, "auth_header": "X-Token: a"}, "sources.s.auth_header: no request can have this header"),
        ("generic", {"map": MAP, "auth": "node", "auth_header": "X-A"}, "sources.s.auth_header: is not looked at"),
        ("generic", {"map": MAP, "secrets": ["good", " bad"]}, "sources.s.secrets: no header begins or ends with"),
        ("generic", {"map": MAP, "secrets": ["two\nlines"]}, "sources.s.secrets: no header begins or ends with"),
        ("telegram", {"auth_header": "X-Token"}, "sources.s.auth_header: is not looked at without auth"),
        ("generic", {"map": MAP, "auth": "passwort"}, "sources.s.auth: there is no auth passwort"),
        ("generic", {"map": MAP, "auth": {"header": "X"}}, "sources.s.auth.type: is one of token, basic, hmac, jwt"),
        ("generic", {"map": MAP, "auth": {"type": ["hmac"]}}, "sources.s.auth.type: is one of token, basic, hmac, jwt"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "algo": "sha1"}}, "sources.s.auth.algo: extra inputs"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "header": "A", "query": "b"}}, "sources.s.auth.query: stands beside header"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "header": "A b"}}, "sources.s.auth.header: no request can have this"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "body": "$.sign"}}, "sources.s.auth.body: `$.sign` is no path"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "signed": "words"}}, "sources.s.auth.signed: signs nothing of the request"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "signed": "{body"}}, "sources.s.auth.signed: has a brace without"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "signed": "{boddy}"}}, "sources.s.auth.signed: has {boddy}, and there is no such part; did you mean body?"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "signed": "{timestamp}.{body}"}}, "sources.s.auth.signed: has {timestamp}: say where"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "timestamp_header": "T"}}, "sources.s.auth.signed: has no {timestamp}"),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "signed": "{url}{body}"}}, "sources.s.public_url: is missing"),
        ("generic", {"map": MAP, "auth": {"type": "jwt", "url_hash": "url_hash"}}, "sources.s.public_url: is missing"),
        ("generic", {"map": MAP, "auth": "basic", "secrets": ["password"]}, "sources.s.secrets: with auth = basic each of them"),
        ("generic", {"map": MAP, "auth": "standard-webhooks", "secrets": ["whsec_!"]}, "sources.s.secrets: is no base64"),
        ("generic", {"map": MAP, "public_url": "bot.example.com"}, "sources.s.public_url: write scheme and host alone"),
        ("generic", {"map": MAP, "public_path": "hooks"}, "sources.s.public_path: write the path as the provider"),
        ("generic", {"map": MAP, "answers": {"confirmation": "a"}}, "sources.s.answers: `confirmation` is no condition"),
        ("generic", {"map": MAP, "answers": {"=a": "a"}}, "sources.s.answers: `=a` has no path"),
        ("generic", {"map": MAP, "answers": {"$.a=a": "a"}}, "sources.s.answers: `$.a` is no path"),
        ("generic", {"answer": "ok"}, "sources.s.answer: is for a source with a map"),
        ("generic", {"map": MAP, "challenge": "a.*"}, "sources.s.challenge: `a.*` is no path"),
        ("whatsapp-cloud", {"auth": "token", "secrets": [" a"]}, "sources.s.secrets: no header begins or ends with"),
        ("green-api", {"secrets": ["a "]}, "sources.s.secrets: no header begins or ends with"),
        ("telegram", {"secrets": ["two words"]}, "sources.s.secrets: Telegram takes a secret_token of 1 to 256"),
        ("telegram", {"secrets": ["a" * 257]}, "sources.s.secrets: Telegram takes a secret_token of 1 to 256"),
        ("generic", {"company": True}, "sources.s.company: write a whole number, or a text in quotes"),
        ("generic", {"company": 1.5}, "sources.s.company: write a whole number, or a text in quotes"),
        ("generic", {"company": "c" * 65}, "sources.s.company: at most 64 characters"),
        ("generic", {"company": 10**64}, "sources.s.company: at most 64 characters"),
    ],
)  # fmt: skip
def test_setting_that_can_never_match_is_refused(type_: str, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        source(type_, **settings)
    assert [line.startswith(problem) for line in caught.value.problems] == [True]


@pytest.mark.parametrize(
    ("type_", "settings"),
    [
        ("generic", {"map": MAP, "auth_header": "X-Token", "secrets": ["Bearer a"]}),
        ("generic", {"map": MAP, "auth": "hmac-sha256", "secrets": [" any bytes "]}),
        ("telegram", {"secrets": ["a_Secret-1"]}),
        ("green-api", {"secrets": ["Basic abc="]}),
        ("whatsapp-cloud", {"auth": "token", "auth_header": "D360-API-KEY", "secrets": ["a"]}),
        ("generic", {"auth": "token", "secrets": ["a"]}),
        ("generic", {"map": MAP, "auth": {"type": "hmac", "secret_encoding": "hex"}, "secrets": ["00ff"]}),
    ],
)
def test_setting_that_can_match_is_taken(type_: str, settings: dict[str, Any]) -> None:
    assert source(type_, **settings).secrets == settings["secrets"]


@pytest.mark.parametrize("company", [962302, "962302", "0123", 0, ""])
def test_company_of_a_source_is_what_is_written(company: int | str) -> None:
    value = source(company=company).company
    assert (type(value), value) == (type(company), company)


def notices(sinks: dict[str, Any], sources: dict[str, Any]) -> list[str]:
    return list_notices(Settings.model_validate({"sinks": sinks, "sources": sources}))


BULLMQ = {"bot": {"type": "bullmq", "queue": "company-{company}-messages"}}


def test_queue_by_company_is_noticed_for_each_source_that_sets_none() -> None:
    salon = {"type": "telegram", "secrets": ["s"]}
    [notice] = notices(BULLMQ, {"salon": salon, "shop": {**salon, "company": 0}})
    assert notice == (
        "sinks.bot.queue has {company}, and sources.salon.company is not set: a message that names no company goes to "
        "company-none-messages; set sources.salon.company, or take {company} out"
    )
    assert "sources.generic.company" in notices(BULLMQ, {})[0]
    assert (
        "sinks.list.key" in notices({"list": {"type": "list", "key": "bot:{company}"}}, {"salon": salon})[0]
    )


def test_queue_without_company_needs_no_notice() -> None:
    assert notices({"bot": {"type": "bullmq", "queue": "bot-{account}"}, "all": {"type": "stdout"}}, {}) == []
    assert notices(BULLMQ, {"shop": {"type": "generic", "company": "7"}}) == []
