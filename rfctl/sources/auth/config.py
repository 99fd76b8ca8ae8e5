"""What `auth` may say: a word, or a table that has a type. A word stands for a table that many senders need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from rfctl.section import Fault, Section, list_faults, raise_faults
from rfctl.sources.auth.places import Place, find_path_fault
from rfctl.sources.auth.secrets import SecretEncoding, decode_secret
from rfctl.sources.auth.template import Template, find_template_fault
from rfctl.text import did_you_mean

DAY_S = 86_400
WORDS: Mapping[str, Mapping[str, Any]] = {
    "token": {"type": "token"},
    "basic": {"type": "basic"},
    "jwt": {"type": "jwt"},
    "hmac-sha256": {"type": "hmac", "algorithm": "sha256"},
    "hmac-sha1": {"type": "hmac", "algorithm": "sha1"},
    "hmac-sha512": {"type": "hmac", "algorithm": "sha512"},
    "node": {
        "type": "hmac",
        "header": "X-Signature",
        "signed": "{method}:{path}:{timestamp}:{body}",
        "timestamp_header": "X-Timestamp",
    },
    "standard-webhooks": {
        "type": "hmac",
        "header": "Webhook-Signature",
        "prefix": "v1,",
        "signed": "{header:Webhook-Id}.{timestamp}.{body}",
        "timestamp_header": "Webhook-Timestamp",
        "secret_encoding": "base64",
    },
}
"""What stands behind each word. The header of `token`, `jwt` and the `hmac-…` may be another, by `auth_header`."""
_WITH_A_HEADER = ("token", "jwt", "hmac-sha256", "hmac-sha1", "hmac-sha512")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORIZATION = "Authorization"


def check_header_name(name: str) -> str:
    """Return a name that a header can have, or "". Raises ValueError."""
    if name and not _HEADER.fullmatch(name):
        raise ValueError("no request can have this header: write its name alone, as in X-Token")
    return name


def _check_path(path: str) -> str:
    if path and (fault := find_path_fault(path)):
        raise ValueError(fault)
    return path


def _check_template(text: str) -> str:
    if fault := find_template_fault(text):
        raise ValueError(fault)
    return text


HeaderName = Annotated[str, AfterValidator(check_header_name)]
_BodyPath = Annotated[str, AfterValidator(_check_path)]


def find_token_fault(token: str) -> str:
    """Return why no header can be this token, in words; "" when one can."""
    if token != token.strip() or _UNPRINTED.search(token):
        return "no header begins or ends with white space, or has control characters: write the token alone"
    return ""


class _Placed(Section):
    """Where the proof stands: in a header, a parameter of the query, or at a path of the body."""

    header: HeaderName = ""
    query: str = ""
    body: _BodyPath = ""

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> Self:
        _check_single(self, ("header", "query", "body"))
        return self

    @property
    def place(self) -> Place:
        """Where the proof stands; Authorization where nothing else is said."""
        return _build_place(self.header, self.query, self.body) or Place("header", _AUTHORIZATION)

    def find_secret_faults(self, secrets: Sequence[str]) -> Iterator[str]:  # noqa: ARG002 - any may be a key
        """Yield what is wrong with secrets that have to prove a request in this way."""
        yield from ()

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is a part of the signature."""
        return False


class TokenAuth(_Placed):
    """The secret itself is in the request."""

    type: Literal["token"] = "token"

    def find_secret_faults(self, secrets: Sequence[str]) -> Iterator[str]:
        """Yield why no header can be one of the secrets."""
        if self.place.kind == "header":
            yield from filter(None, map(find_token_fault, secrets))


class BasicAuth(Section):
    """A user and a password, as `user:password` among the secrets."""

    type: Literal["basic"] = "basic"
    header: HeaderName = _AUTHORIZATION

    @property
    def place(self) -> Place:
        """Where the proof stands."""
        return Place("header", self.header)

    def find_secret_faults(self, secrets: Sequence[str]) -> Iterator[str]:
        """Yield which secrets are no user with a password."""
        if not all(user and colon for user, colon, _ in (secret.partition(":") for secret in secrets)):
            yield "with auth = basic each of them is a user and a password: write user:password"

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is a part of the signature."""
        return False


class HmacAuth(_Placed):
    """A signature by the secret, over what `signed` says."""

    type: Literal["hmac"] = "hmac"
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    prefix: Annotated[str, Field(max_length=64)] = ""
    signed: Annotated[str, AfterValidator(_check_template)] = "{body}"
    timestamp_header: HeaderName = ""
    timestamp_query: str = ""
    timestamp_body: _BodyPath = ""
    timestamp_prefix: Annotated[str, Field(max_length=64)] = ""
    max_age_s: int = Field(300, ge=0, le=30 * DAY_S)
    secret_encoding: SecretEncoding = "text"  # noqa: S105 - how it is written

    @model_validator(mode="after")
    def _timestamp_is_signed(self) -> Self:
        _check_single(self, ("timestamp_header", "timestamp_query", "timestamp_body"))
        is_signed = self.template.has("timestamp")
        if self.timestamp and not is_signed:
            raise_faults(
                [("signed", "has no {timestamp}: anybody could write another one, so no age would be true")]
            )
        if is_signed and not self.timestamp:
            fault = (
                "has {timestamp}: say where it stands, by timestamp_header, timestamp_query or timestamp_body"
            )
            raise_faults([("signed", fault)])
        return self

    @property
    def template(self) -> Template:
        """What is signed."""
        return Template.parse(self.signed)

    @property
    def timestamp(self) -> Place | None:
        """Where the time of the signature stands; None where it has no time."""
        return _build_place(self.timestamp_header, self.timestamp_query, self.timestamp_body)

    def find_secret_faults(self, secrets: Sequence[str]) -> Iterator[str]:
        """Yield which secrets are not what `secret_encoding` says."""
        for secret in secrets:
            if decode_secret(secret, self.secret_encoding) is None:
                yield f"is no {self.secret_encoding}, as auth.secret_encoding says"

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is a part of the signature."""
        return self.template.has("url")


class JwtAuth(_Placed):
    """A JSON Web Token that the secret has signed."""

    type: Literal["jwt"] = "jwt"
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    claims: dict[str, str | int | bool] = Field(default_factory=dict)
    payload_hash: str = ""
    url_hash: str = ""
    max_age_s: int = Field(0, ge=0, le=30 * DAY_S)
    leeway_s: int = Field(60, ge=0, le=DAY_S)
    secret_encoding: SecretEncoding = "text"  # noqa: S105 - how it is written

    def find_secret_faults(self, secrets: Sequence[str]) -> Iterator[str]:
        """Yield which secrets are not what `secret_encoding` says."""
        for secret in secrets:
            if decode_secret(secret, self.secret_encoding) is None:
                yield f"is no {self.secret_encoding}, as auth.secret_encoding says"

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is a part of the signature."""
        return bool(self.url_hash)


Auth = TokenAuth | BasicAuth | HmacAuth | JwtAuth
_MODELS: Mapping[str, Callable[[Mapping[str, Any]], Auth]] = {
    "token": TokenAuth.model_validate,
    "basic": BasicAuth.model_validate,
    "hmac": HmacAuth.model_validate,
    "jwt": JwtAuth.model_validate,
}


def parse_auth(value: str | Mapping[str, Any], header: str = "") -> Auth:
    """Return what a word or a table says; `header` is where a word's proof stands. Raises an error with its faults."""
    table = {**WORDS[value], **({"header": header} if header else {})} if isinstance(value, str) else value
    return _MODELS[table["type"]](table)


def check_auth(value: Any) -> Any:
    """Return a value of `auth`, unless no request could ever prove itself by it. Raises an error with its faults."""
    if isinstance(value, str):
        if value and value not in WORDS:
            raise ValueError(
                f"there is no auth {value}{did_you_mean(value, WORDS)}: {_list(WORDS)}, or a table"
            )
        return value
    if not isinstance(value, dict):
        raise ValueError("write a word, or a table")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _MODELS:
        raise_faults([("type", f"is one of {_list(_MODELS)}")])
    try:
        parse_auth(value)
    except ValidationError as problem:
        raise_faults([fault for error in problem.errors(include_url=False) for fault in list_faults(error)])
    return value


def find_auth_header_fault(auth: str | Mapping[str, Any]) -> str:
    """Return why `auth_header` says nothing beside this `auth`; "" when it does."""
    if not auth:
        return 'is not looked at without auth: add auth = "token", or another one'
    if isinstance(auth, str):
        return (
            ""
            if auth in _WITH_A_HEADER
            else f"is not looked at with auth = {auth}: take it away, or set another auth"
        )
    return "is not looked at beside a table: write header = … in [sources.NAME.auth]"


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


def _check_single(section: Section, names: Sequence[str]) -> None:
    """Reject a section that says two places at once."""
    named = [name for name in names if getattr(section, name)]
    faults: list[Fault] = [(name, f"stands beside {named[0]}: one place is enough") for name in named[1:]]
    raise_faults(faults)


def _build_place(header: str, query: str, body: str) -> Place | None:
    named = {"header": header, "query": query, "body": body}
    return next((Place.parse(kind, name) for kind, name in named.items() if name), None)
