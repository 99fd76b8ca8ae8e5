"""The signature check beside the provider's own library, which only the tests need."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from urllib.parse import urlencode

import pytest

from rfctl.sources.contract import Request
from rfctl.sources.twilio.source import Twilio, sign
from tests.unit.sources.twilio.test_source import config

validator = pytest.importorskip("twilio.request_validator")
RequestValidator, get_signature_algorithm = validator.RequestValidator, validator.get_signature_algorithm

URL = "https://bot.example.com"


class Several(dict[str, list[str]]):
    """Form fields as a web framework gives them to the provider's library."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


HOSTS = ["bot.example.com", "bot.example.com:443", "bot.example.com:80", "bot.example.com:8443", "10.0.0.7"]
WORDS = ["", "Body", "From", "To", "a", "A", "é", "привет", "💇", "x y", "+", "&=%", "\n", "\x00", "1" * 50]
PATHS = ["/", "/hook", "/hook/", "//hook", "/a%20b/%D0%B0", "/a;b=c", "/index.php"]
QUERIES = ["", "a=1", "a=1&b=", "b=%2B&a=+", "x", "a=1&a=2", "url=https://c.example:99/?z"]


class Case:
    """One random request, signed by the provider's library, rightly or in one of the ways that go wrong."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        scheme = chance.choice(["https", "http"])
        self.base = f"{scheme}://{chance.choice(HOSTS)}"
        self.target = [chance.choice(PATHS), chance.choice(QUERIES)]
        self.algorithm = chance.choice(["HMAC_SHA1", "HMAC_SHA256"])
        self.fields = [(chance.choice(WORDS), chance.choice(WORDS)) for _ in range(chance.randrange(8))]
        self.json = chance.random() < 0.2
        self.body = json.dumps(self.fields) if self.json else urlencode(self.fields)
        if self.json or chance.random() < 0.1:
            hashed = self.body if chance.random() < 0.7 else self.body + " "
            self.target[1] += ("&" if self.target[1] else "") + "bodySHA256=" + sha256(hashed)

    @property
    def url(self) -> str:
        path, query = self.target
        return self.base + path + (f"?{query}" if query else "")

    def params(self, fields: list[tuple[str, str]]) -> Several:
        several = Several()
        for name, value in fields:
            several.setdefault(name, []).append(value)
        return several

    def signed(self) -> str:
        """Sign it, in half of the cases with one thing gone wrong on the way."""
        url, fields, algorithm = self.url, [] if self.json else self.fields, self.algorithm
        wrong = self.chance.choice(["", "", "", "port", "port", "scheme", "slash", "token", "blank", "once"])
        wrong = wrong if self.chance.random() < 0.8 else self.chance.choice(["algorithm", "field", "short"])
        if wrong == "port":
            other = self.chance.choice(["", ":443", ":80", ":8443"])
            host = self.base.partition("://")[2].partition(":")[0]
            url = url.replace(self.base, self.base.partition(":")[0] + "://" + host + other, 1)
        elif wrong == "scheme":
            url = url.replace("https://", "http://", 1)
        elif wrong == "slash":
            url += "/"
        elif wrong == "blank":
            fields = [(name, value) for name, value in fields if value]
        elif wrong == "once":
            fields = list(dict(fields).items())
        elif wrong == "field":
            fields = [*fields, ("More", "1")]
        elif wrong == "algorithm":
            algorithm = "HMAC_SHA256" if algorithm == "HMAC_SHA1" else "HMAC_SHA1"
        signature = RequestValidator("other" if wrong == "token" else "new").compute_signature(
            url, self.params(fields), algorithm
        )
        return str(signature[:-1] if wrong == "short" else signature)

    def request(self, signature: str) -> Request:
        path, query = self.target
        settings = f"key=k,algorithm={self.algorithm}".encode()
        if self.algorithm == "HMAC_SHA1" and self.chance.random() < 0.5:
            settings = b""
        headers = {
            "content-type": b"application/json" if self.json else b"application/x-www-form-urlencoded",
            "x-twilio-signature": signature.encode(),
            "x-twilio-webhooks-signature-settings": settings,
        }
        return Request("POST", path, query, headers, self.body.encode())


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_ten_thousand_random_requests_are_judged_as_the_providers_library_judges_them() -> None:
    chance = random.Random(20_261)
    judged: Counter[bool] = Counter()
    for _ in range(10_000):
        case = Case(chance)
        signature = case.signed()
        params = case.body if case.json else case.params(case.fields)
        expected = RequestValidator("new").validate(case.url, params, signature, case.algorithm)
        source = Twilio("x", config("new", public_url=case.base))
        assert source.verify(case.request(signature), 0) == expected, (case.url, case.body, signature)
        judged[expected] += 1
    assert min(judged[True], judged[False]) > 2_000


SETTINGS_AS_WRITTEN = [
    "",
    "key=k",
    "algorithm=HMAC_SHA256",
    "key=k, algorithm = HMAC_SHA256 ",
    "algorithm=,algorithm=HMAC_SHA256",
    "algorithm=hmac_sha256",
    "algorithm=HMAC_SHA1,algorithm=HMAC_SHA256",
    "algorithm",
    "algorithm=other",
]


@pytest.mark.parametrize("settings", SETTINGS_AS_WRITTEN)
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_the_settings_header_is_read_as_the_providers_library_reads_it(settings: str, algorithm: str) -> None:
    fields = {"From": "+1", "Body": ""}
    signature = RequestValidator("new").compute_signature(f"{URL}/hook", fields, algorithm)
    expected = RequestValidator("new").validate(
        f"{URL}/hook", fields, signature, get_signature_algorithm(settings)
    )
    headers = {
        "x-twilio-signature": signature.encode(),
        "x-twilio-webhooks-signature-settings": settings.encode(),
    }
    request = Request("POST", "/hook", "", headers, urlencode(fields).encode())
    assert Twilio("x", config("new", public_url=URL)).verify(request, 0) == expected


def test_address_with_a_port_and_without_one_verifies_whichever_came_before() -> None:
    source = Twilio("sms", config("a secret", public_url="https://bot.example.com"))
    for host in (
        "bot.example.com",
        "bot.example.com:443",
        "bot.example.com:443",
        "bot.example.com",
        "evil.example",
    ):
        signature = sign("a secret", f"https://{host}/webhook/sms", [("Body", "hi")])
        headers = {
            "x-twilio-signature": signature.encode(),
            "content-type": b"application/x-www-form-urlencoded",
        }
        request = Request("POST", "/webhook/sms", "", headers, b"Body=hi")
        assert source.verify(request, 0) == (host != "evil.example"), host
