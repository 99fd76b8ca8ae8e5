"""Which company a message is for, by the account that it was sent to. Pure, and the same for every source.

One app of Meta serves many numbers, one Evolution server many instances, and one bot of Telegram many businesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from rfctl.model.company import Company
from rfctl.model.message import MAX_COMPANY_CHARS, Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Source

ACCOUNT = "{account}"
"""What stands for the account in the name of a company."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """The companies behind the accounts of a source, for messages that name none themselves.

    `company` is for an account that `companies` does not name; `{account}` in it becomes that account. Where it is None,
    or there are companies and it has no account in it, such an account is unknown. Messages to unknown accounts are kept
    under `company`, or with `quarantines_unknown` go to quarantine.
    """

    companies: Mapping[str, Company] = field(default_factory=dict)
    company: Company = None
    quarantines_unknown: bool = False

    def find_company(self, account: str) -> tuple[Company, bool]:
        """Return the company of an account, and whether that account is known."""
        for name in (account, normalize_phone(account)):
            if account and name in self.companies:
                return self.companies[name], True
        if not isinstance(self.company, str) or ACCOUNT not in self.company:
            return self.company, False
        company = self.company.replace(ACCOUNT, account)
        is_known = bool(account) and len(company) <= MAX_COMPANY_CHARS
        return (company if is_known else None), is_known

    def assign(self, source: Source, parsed: ParseResult, body: bytes) -> tuple[ParseResult, int]:
        """Return what a body contains with the company of each message, and how many are kept of unknown accounts.

        Messages to unknown accounts are unparsed, if that is wanted.
        """
        messages: list[Message] = []
        unknown: list[str] = []
        kept = 0
        for message in parsed.messages:
            company, is_known = self._choose_company(message)
            if not is_known and self.quarantines_unknown:
                unknown.append(message.account)
                continue
            kept += not is_known
            messages.append(structs.replace(message, company=company))
        if not unknown:
            return structs.replace(parsed, messages=messages), kept
        parts = _part_off(source, body, list(dict.fromkeys(unknown)), is_shared=bool(messages))
        # What is in quarantine as a whole is read again as a whole: none of it may be stored now, or it would come twice.
        is_whole = any(part.body is body for part in parts)
        unparsed = [*parsed.unparsed, *parts]
        return structs.replace(parsed, messages=[] if is_whole else messages, unparsed=unparsed), kept

    def _choose_company(self, message: Message) -> tuple[Company, bool]:
        return self.find_company(message.account) if message.company is None else (message.company, True)


def build_tenants(
    companies: Mapping[str, Company], company: Company, *, quarantines_unknown: bool
) -> Tenants | None:
    """Return the tenants of a source, None where all its messages are one company's, or none's."""
    if not companies and not (isinstance(company, str) and ACCOUNT in company):
        return None
    spelled = {normalize_phone(account): number for account, number in companies.items()}
    return Tenants({**spelled, **companies}, company, quarantines_unknown)


def _part_off(source: Source, body: bytes, accounts: list[str], *, is_shared: bool) -> list[Unparsed]:
    """Return the parts of a body that are for these accounts; all of it where its source cannot part it."""
    narrowed = [source.narrow(body, account) for account in accounts] if is_shared or accounts[1:] else [body]
    if any(part is body for part in narrowed):
        return [Unparsed(body, "; ".join(map(_explain, accounts)))]
    return [Unparsed(part, _explain(account)) for part, account in zip(narrowed, accounts, strict=True)]


def _explain(account: str) -> str:
    return (
        f"account {account} is not in companies" if account else "it names no account, so no company either"
    )
