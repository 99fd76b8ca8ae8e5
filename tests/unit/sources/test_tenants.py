"""Which company a message is for, by the account that it was sent to, in every source alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import SettingsError
from rfctl.model.company import Company
from rfctl.model.message import Renaming
from rfctl.sources.contract import ParseResult, Reply, ServedSource
from rfctl.sources.tenants import Tenants
from tests.support.recorded import body as recorded

SECRETS = '[sources.x]\nsecrets = ["s"]\n'
TYPES = {
    "whatsapp-cloud": "text.json", "evolution": "text.json", "waha": "text.json", "telegram": "business.json",
    "twilio": "sms.txt", "green-api": "text.json",
}  # fmt: skip
"""A recorded request of each provider that names an account."""


def settings_of(tmp_path: Path, text: str) -> Any:
    (tmp_path / "etc.toml").write_text(text)
    return load(Environment({"HOME": str(tmp_path)}, tmp_path / "etc.toml")).settings


def serve(tmp_path: Path, kind: str, text: str) -> ServedSource:
    public = 'public_url = "https://bot.example.com"\n' if kind == "twilio" else ""
    return build_sources(settings_of(tmp_path, f'{SECRETS}type = "{kind}"\n{public}{text}\n'))["x"]


def read(served: ServedSource, sent: bytes) -> tuple[ParseResult, int]:
    parsed = served.source.parse(sent)
    assert served.tenants is not None
    return served.tenants.assign(served.source, parsed, sent)


def companies_of(served: ServedSource, sent: bytes) -> list[Company]:
    return [message.company for message in read(served, sent)[0].messages]


def whatsapp(*accounts: str) -> bytes:
    """One request of Meta's with a message to each of these numbers, of the same person."""
    changes = [
        {
            "field": "messages",
            "value": {
                "metadata": {"display_phone_number": "1555", "phone_number_id": account},
                "contacts": [{"wa_id": "1777"}],
                "messages": [
                    {"from": "1777", "id": f"wamid.{account}", "timestamp": "1750000000", "type": "text", "text": {"body": "hi"}}
                ],
            },
        }
        for account in accounts
    ]  # fmt: skip
    entry = [{"id": "1", "changes": [change]} for change in changes]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


@pytest.mark.parametrize("kind", TYPES)
def test_account_decides_about_the_company_in_every_source(kind: str, tmp_path: Path) -> None:
    sent = recorded(kind, TYPES[kind])
    [message] = serve(tmp_path, kind, "").source.parse(sent).messages
    assert message.account
    named = serve(tmp_path, kind, f'companies = {{ "{message.account}" = 962302 }}')
    assert companies_of(named, sent) == [962302]
    templated = serve(tmp_path, kind, 'company = "of {account}"')
    assert companies_of(templated, sent) == [f"of {message.account}"]
    held = serve(tmp_path, kind, 'companies = { "other" = 1 }\nunknown_account = "quarantine"')
    result, kept = read(held, sent)
    assert (result.messages, kept) == ([], 0)
    assert [part.why for part in result.unparsed] == [f"account {message.account} is not in companies"]
    assert held.source.parse(result.unparsed[0].body).messages == held.source.parse(sent).messages


def test_two_numbers_of_one_app_are_two_companies(tmp_path: Path) -> None:
    served = serve(tmp_path, "whatsapp-cloud", 'companies = { 106 = 1, 206 = "two" }')
    assert companies_of(served, whatsapp("106", "206")) == [1, "two"]


def test_unknown_account_is_kept_under_the_company_of_all_others_and_counted(tmp_path: Path) -> None:
    none = serve(tmp_path, "whatsapp-cloud", "companies = { 106 = 1 }")
    result, kept = read(none, whatsapp("106", "206", "306"))
    assert ([message.company for message in result.messages], kept) == ([1, None, None], 2)
    others = serve(tmp_path, "whatsapp-cloud", "companies = { 106 = 1 }\ncompany = 9")
    assert companies_of(others, whatsapp("106", "206")) == [1, 9]


def test_request_is_parted_and_only_the_unknown_account_waits(tmp_path: Path) -> None:
    served = serve(tmp_path, "whatsapp-cloud", 'companies = { 106 = 1 }\nunknown_account = "quarantine"')
    result, kept = read(served, whatsapp("106", "206", "306"))
    assert ([message.id for message in result.messages], kept) == (["wamid.106"], 0)
    held = [served.source.parse(part.body).messages for part in result.unparsed]
    assert [[message.id for message in messages] for messages in held] == [["wamid.206"], ["wamid.306"]]


def test_request_that_cannot_be_parted_waits_whole(tmp_path: Path) -> None:
    mapping = 'type = "generic"\ncompanies = { a = 1 }\nunknown_account = "quarantine"\n'
    mapping += '[sources.x.map]\neach = "list"\nphone = "from"\ntext = "text"\naccount = "line"\n'
    served = build_sources(settings_of(tmp_path, SECRETS + mapping))["x"]
    items = [{"from": "7900", "text": "x", "line": line} for line in ("a", "b", "c", "b")]
    sent = json.dumps({"list": items}).encode()
    result, _ = read(served, sent)
    assert result.messages == []
    assert [(part.body, part.why) for part in result.unparsed] == [
        (sent, "account b is not in companies; account c is not in companies")
    ]


def test_company_that_a_message_names_itself_stays(tmp_path: Path) -> None:
    served = serve(tmp_path, "generic", 'companies = { a = 1 }\nunknown_account = "quarantine"')
    result, _ = read(served, b'{"from":"79001","message":"x","companyId":7}')
    assert [message.company for message in result.messages] == [7]


@pytest.mark.parametrize(
    ("account", "company"),
    [("+1 555 000-11-11", 5), ("15550001111", 5), ("", None), ("1555000111", None)],
)
def test_account_that_is_a_number_has_one_spelling(account: str, company: Company, tmp_path: Path) -> None:
    tenants = serve(tmp_path, "twilio", 'companies = { "+15550001111" = 5 }').tenants
    assert tenants is not None
    assert tenants.find_company(account) == (company, company is not None)


def test_account_that_is_too_long_for_a_company_is_unknown() -> None:
    assert Tenants(company="{account}").find_company("x" * 64) == ("x" * 64, True)
    assert Tenants(company="{account}").find_company("x" * 65) == (None, False)
    assert Tenants(company="{account}").find_company("") == (None, False)


def test_same_person_has_a_batch_in_each_company_and_ids_stay_apart(tmp_path: Path) -> None:
    text = SECRETS + 'type = "whatsapp-cloud"\ncompanies = { 106 = 1, 206 = 2 }\n'
    rules = build_rules(settings_of(tmp_path, text))
    served = serve(tmp_path, "whatsapp-cloud", "companies = { 106 = 1, 206 = 2 }")
    first, second = read(served, whatsapp("106", "206"))[0].messages
    assert rules.build_batch_key(first) != rules.build_batch_key(second)
    alike = structs.replace(second, id=first.id)
    assert rules.build_dedupe_key(alike) != rules.build_dedupe_key(first)
    moved = structs.replace(first, company=3)
    assert rules.build_dedupe_key(moved) == rules.build_dedupe_key(first)
    assert (
        "company" not in build_rules(settings_of(tmp_path, SECRETS + 'type = "waha"\ncompany = 1\n')).split_by
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'unknown_account = "quarantine"',
            "sources.x.unknown_account: no account is unknown without companies",
        ),
        (
            'companies = { 1 = 1 }\ncompany = 2\nunknown_account = "quarantine"',
            "sources.x.company: it is never used",
        ),
        ('company = "{acount}"', "{account} alone"),
        ("companies = { 1 = true }", "whole number"),
        ('companies = { 1 = 1 }\nunknown_account = "drop"', "'keep' or 'quarantine'"),
    ],
)
def test_tenants_that_cannot_be_meant_are_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as problem:
        serve(tmp_path, "waha", text)
    assert says in "\n".join(problem.value.problems)


def test_source_without_tenants_has_none(tmp_path: Path) -> None:
    assert serve(tmp_path, "waha", "company = 5").tenants is None


def test_handshake_and_new_second_id_stay_where_companies_depend_on_accounts(tmp_path: Path) -> None:
    served = serve(tmp_path, "telegram", 'companies = { "1" = 7 }')
    parsed = ParseResult(reply=Reply(b"word"), renamings=[Renaming("x", "new")])
    assert served.tenants is not None
    assert served.tenants.assign(served.source, parsed, b"{}") == (parsed, 0)
