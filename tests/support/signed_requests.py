"""Requests that prove themselves as the senders of webhooks do, each made without a line of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rfctl.section import build_section
from rfctl.sources.contract import Request, Source
from rfctl.sources.registry import SPECS

NOW_S = 1_790_000_000
MAP = {"phone": "from", "text": "text", "id": "id"}
BODY = b'{"from":"79001234567","text":"hi","id":"m1"}'
URL = "https://bot.example.com"
Headers = dict[str, str]


def sign(secret: str | bytes, signed: bytes, algorithm: str = "sha256") -> bytes:
    """Return the HMAC of these bytes."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return hmac.new(key, signed, algorithm).digest()


def encode(raw: bytes) -> str:
    """Return base64."""
    return base64.b64encode(raw).decode()


def make_jwt(secret: str, claims: Mapping[str, Any], algorithm: str = "HS256") -> str:
    """Return a JSON Web Token, signed with HMAC."""
    parts = [{"alg": algorithm, "typ": "JWT"}, claims]
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )
    digest = sign(secret, text.encode(), f"sha{algorithm[2:]}")
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@dataclass(frozen=True)
class Sender:
    """How a sender proves its requests: the settings for it, and what it adds to a request at a time (Unix s).

    `sign` returns headers and a query for a secret, a body and a time. `body` is what it sends, `secret` what it shares.
    `has_time` says whether an old request is known as one, `covers_body` whether another body is.
    """

    settings: Mapping[str, Any]
    sign: Callable[[str, bytes, int], tuple[Headers, str]]
    body: bytes = BODY
    secret: str = "a-secret-of-the-sender"
    has_time: bool = False
    covers_body: bool = True
    type: str = "generic"
    more: Mapping[str, Any] = field(default_factory=dict)

    def build_source(self, *secrets: str) -> Source:
        """Return a source of its settings with these secrets."""
        table = {"type": self.type, "secrets": list(secrets) or [self.secret], **self.settings, **self.more}
        if self.type == "generic":
            table.setdefault("map", MAP)
        spec = SPECS[self.type]
        return spec.build_source("shop", build_section(spec.config, table, "sources.shop"), 65_536)

    def build_request(self, *, secret: str = "", body: bytes | None = None, at_s: int = NOW_S) -> Request:
        """Return a request that it has made with the secret at a time."""
        sent = self.body if body is None else body
        headers, query = self.sign(secret or self.secret, sent, at_s)
        lower = {name.lower(): value.encode() for name, value in headers.items()}
        return Request("POST", "/webhook/shop", query, lower, sent)


def _bird(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    signed = f"{at_s}\n{URL}/webhook/shop\n".encode() + hashlib.sha256(body).digest()
    return {
        "MessageBird-Signature": encode(sign(secret, signed)),
        "MessageBird-Request-Timestamp": str(at_s),
    }, ""


def _vonage(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    claims = {"iat": at_s, "iss": "Vonage", "payload_hash": hashlib.sha256(body).hexdigest()}
    return {"Authorization": f"Bearer {make_jwt(secret, claims)}"}, ""


def _bird_jwt(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    claims = {
        "iss": "MessageBird", "nbf": at_s, "exp": at_s + 60,
        "url_hash": hashlib.sha256(f"{URL}/webhook/shop".encode()).hexdigest(),
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    return {"MessageBird-Signature-JWT": make_jwt(secret, claims, "HS512")}, ""


def _slack(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    signature = "v0=" + sign(secret, f"v0:{at_s}:".encode() + body).hex()
    return {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": str(at_s)}, ""


def _chatwoot(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    signature = "sha256=" + sign(secret, f"{at_s}.".encode() + body).hex()
    return {"X-Chatwoot-Signature": signature, "X-Chatwoot-Timestamp": str(at_s)}, ""


def _stripe_like(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    signature = sign(secret, f"{at_s}.".encode() + body).hex()
    return {"X-Sign": f"t={at_s},v1={'0' * 64},v1={signature}"}, ""


def _standard(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = encode(sign(key, f"msg_1.{at_s}.".encode() + body))
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,AAAA v1,{signature}",
    }, ""


def _node(secret: str, body: bytes, at_s: int) -> tuple[Headers, str]:
    signed = f"POST:/webhook/shop:{at_s * 1000}:".encode() + body
    return {"X-Signature": sign(secret, signed).hex(), "X-Timestamp": str(at_s * 1000)}, ""


SENDERS: Mapping[str, Sender] = {
    "token": Sender({}, lambda secret, _body, _at_s: ({"Authorization": f"Bearer {secret}"}, ""), covers_body=False),
    "360dialog": Sender(
        {"auth": "token", "auth_header": "D360-Webhook-Token"},
        lambda secret, _body, _at_s: ({"D360-Webhook-Token": secret}, ""),
        type="whatsapp-cloud", covers_body=False,
    ),
    "token in the query": Sender(
        {"auth": {"type": "token", "query": "token"}},
        lambda secret, _body, _at_s: ({}, f"a=b&token={secret}"), covers_body=False,
    ),
    "vk": Sender(
        {"auth": {"type": "token", "body": "secret"}}, lambda _secret, _body, _at_s: ({}, ""),
        body=b'{"from":"1","text":"hi","id":"m1","secret":"a-secret-of-the-sender"}', covers_body=False,
    ),
    "basic": Sender(
        {"auth": "basic"}, lambda secret, _body, _at_s: ({"Authorization": f"Basic {encode(secret.encode())}"}, ""),
        secret="user:pass:word", covers_body=False,
    ),
    "messenger": Sender(
        {"auth": "hmac-sha256", "auth_header": "X-Hub-Signature-256"},
        lambda secret, body, _at_s: ({"X-Hub-Signature-256": f"sha256={sign(secret, body).hex()}"}, ""),
    ),
    "sha1": Sender(
        {"auth": {"type": "hmac", "algorithm": "sha1", "header": "X-Hub-Signature"}},
        lambda secret, body, _at_s: ({"X-Hub-Signature": f"sha1={sign(secret, body, 'sha1').hex()}"}, ""),
    ),
    "sha512 in the query": Sender(
        {"auth": {"type": "hmac", "algorithm": "sha512", "query": "sig"}},
        lambda secret, body, _at_s: ({}, f"sig={sign(secret, body, 'sha512').hex()}"),
    ),
    "viber": Sender(
        {"auth": "hmac-sha256", "auth_header": "X-Viber-Content-Signature"},
        lambda secret, body, _at_s: ({"X-Viber-Content-Signature": sign(secret, body).hex()}, ""),
    ),
    "line": Sender(
        {"auth": "hmac-sha256", "auth_header": "X-Line-Signature"},
        lambda secret, body, _at_s: ({"X-Line-Signature": encode(sign(secret, body))}, ""),
    ),
    "slack": Sender(
        {"auth": {
            "type": "hmac", "header": "X-Slack-Signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "X-Slack-Request-Timestamp",
        }},
        _slack, has_time=True,
    ),
    "chatwoot": Sender(
        {"auth": {
            "type": "hmac", "header": "X-Chatwoot-Signature", "signed": "{timestamp}.{body}",
            "timestamp_header": "X-Chatwoot-Timestamp",
        }},
        _chatwoot, has_time=True,
    ),
    "parts of a header": Sender(
        {"auth": {
            "type": "hmac", "header": "X-Sign", "prefix": "v1=", "signed": "{timestamp}.{body}",
            "timestamp_header": "X-Sign", "timestamp_prefix": "t=",
        }},
        _stripe_like, has_time=True,
    ),
    "bird": Sender(
        {"public_url": URL, "auth": {
            "type": "hmac", "header": "MessageBird-Signature", "signed": "{timestamp}\n{url}\n{body_sha256_bytes}",
            "timestamp_header": "MessageBird-Request-Timestamp",
        }},
        _bird, has_time=True,
    ),
    "bird by jwt": Sender(
        {"public_url": URL, "auth": {
            "type": "jwt", "header": "MessageBird-Signature-JWT", "algorithm": "HS512", "claims": {"iss": "MessageBird"},
            "payload_hash": "payload_hash", "url_hash": "url_hash",
        }},
        _bird_jwt, has_time=True,
    ),
    "vonage": Sender(
        {"auth": {"type": "jwt", "payload_hash": "payload_hash", "max_age_s": 300}}, _vonage, has_time=True
    ),
    "standard webhooks": Sender(
        {"auth": "standard-webhooks"}, _standard, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", has_time=True
    ),
    "node": Sender({"auth": "node"}, _node, has_time=True),
}  # fmt: skip
"""By the name of the sender, or of what is special about it."""


def now_s() -> int:
    """Return this host's time, Unix s."""
    return int(time.time())
