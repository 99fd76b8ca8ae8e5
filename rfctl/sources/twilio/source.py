"""Twilio: SMS, MMS, WhatsApp and RCS by its messaging webhook. Pure: a request in, messages out.

The source trusts a request only when `X-Twilio-Signature` is right for the URL in Twilio's settings, `public_url` with the
request's path and query: behind a proxy our own idea of scheme, host and port is not Twilio's. Checked against
`twilio.request_validator` 9.13. The signature covers the decoded names and values in the order of their names,
run together, so a body that only re-spells them (`%20` for `+`) verifies too.
A request becomes one message, whatever fields Twilio adds. Delivery statuses and calls are counted.

A form has no time of sending and does not tell a voice message from a song: both are `audio`.
Fields: https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from rfctl.model.company import decode_company
from rfctl.model.message import Message, Unparsed
from rfctl.sources.contract import Common, ParseResult, Request, Source, UnparsedError
from rfctl.sources.cut_texts import is_cut_sms
from rfctl.sources.parsing import (
    build_id_scope,
    check_limits,
    constant_time_equal,
)
from rfctl.sources.signing import Keys, matches_any
from rfctl.sources.twilio.config import TwilioConfig
from rfctl.sources.twilio.conversation import find_skipped_kind, is_conversation, read_conversation
from rfctl.sources.twilio.fields import ALGORITHM, MAX_FIELDS, read_address, read_algorithm, read_fields
from rfctl.sources.twilio.form import MessageForm, build_form_metadata
from rfctl.sources.twilio.plain import Form, join_form, read_form, read_plain

_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class Twilio(Source):
    """The source `twilio`. Its secrets are auth tokens or shared keys; needs `public_url`, without it nothing verifies."""

    proof_headers = ("x-twilio-signature",)

    def __init__(self, name: str, config: TwilioConfig, max_text_bytes: int = 65_536) -> None:
        self._max_text_bytes = max_text_bytes
        self._bases = _bases(config.public_url)
        self.signed_origin = config.public_url.rstrip("/")
        self._keys = {name: Keys(config.secrets, digest) for name, digest in _DIGESTS.items()}
        company = decode_company(config.company)
        self._common = Common(name, company, config.find_id_scope(name), max_text_bytes)
        self._verified: tuple[bytes, Form] | None = None
        """What `verify` has read, for the `parse` of the same body: a form is dear to read."""

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - Twilio signs no time
        """Say whether one of the secrets signed this URL and these fields."""
        settings = request.header("x-twilio-webhooks-signature-settings")
        keys = self._keys.get(read_algorithm(settings) if settings else ALGORITHM)
        form = None if request.query else read_form(request.body)
        joined = _join_signed(request) if form is None else join_form(form)
        if keys is None or joined is None:
            return False
        target = request.path + ("?" + request.query if request.query else "")
        is_signed = self._is_signed(keys, target, joined, request.header("x-twilio-signature"))
        if is_signed and form is not None:
            self._verified = request.body, form
        return is_signed

    def _is_signed(self, keys: Keys, target: str, joined: bytes, signature: bytes) -> bool:
        """Say whether any secret signed this target under one of our bases: the one of last time is tried first."""
        for base in self._bases:
            signed = (base + target).encode(errors="surrogatepass") + joined
            if matches_any(signature, map(_encode_signature, keys.sign(signed))):
                self._bases = (base, *(other for other in self._bases if other != base))
                return True
        return False

    def parse(self, body: bytes) -> ParseResult:
        """Read the one message of the form. Raises UnparsedError when the body is no message's form."""
        form = self._take_form(body)
        plain = None if form is None else read_plain(form, self._common)
        return self._read_any(body) if plain is None else ParseResult([plain])

    def _take_form(self, body: bytes) -> Form | None:
        """Return the fields of a body: those that `verify` has read, if it was this very body."""
        verified, self._verified = self._verified, None
        return verified[1] if verified is not None and verified[0] is body else read_form(body)

    def _read_any(self, body: bytes) -> ParseResult:
        result = ParseResult()
        form = MessageForm(body)
        if is_conversation(form):
            self._read_conversation(form, body, result)
        elif form.is_status:
            result.skip("status")
        elif form.unknown_status:
            raise UnparsedError(f"a status that rfctl does not know: {form.unknown_status[:64]}")
        elif form.is_call:
            result.skip("event")
        elif not (form.id or form["From"]):
            raise UnparsedError("neither MessageSid nor From in it: is this a Twilio form?")
        else:
            try:
                result.messages.append(self._message(form))
            except UnparsedError as problem:
                result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read_conversation(self, form: MessageForm, body: bytes, result: ParseResult) -> None:
        if skipped := find_skipped_kind(form):
            result.skip(skipped)
            return
        try:
            result.messages.append(read_conversation(form, self._common))
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))

    def _message(self, form: MessageForm) -> Message:
        platform, phone = read_address(form["From"])
        message = Message(
            phone=phone,
            text=form.text,
            id=form.id,
            id_scope=build_id_scope("twilio", form["AccountSid"], self._common.id_scope),
            channel=self._common.channel,
            company=self._common.company,
            platform=platform,
            account=read_address(form["To"])[1],
            type=form.type,
            media=form.media,
            refers=form["OriginalRepliedMessageSid"],
            metadata=build_form_metadata(form),
            cut=platform == "sms" and form.type == "text" and is_cut_sms(form.text),
        )
        return check_limits(message, self._max_text_bytes)


def sign(secret: str, url: str, fields: Iterable[tuple[str, str]], algorithm: str = ALGORITHM) -> str:
    """Return the signature of a URL and form fields, base64. Raises KeyError for an unknown algorithm."""
    signed = url.encode(errors="surrogatepass") + _join(fields)
    return _encode_signature(hmac.digest(secret.encode(), signed, _DIGESTS[algorithm])).decode()


def _join(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the names and values as they are signed. What was no UTF-8 is signed as the bytes that it was."""
    joined = "".join(name + value for name, value in sorted(set(fields)))
    return joined.encode(errors="surrogateescape")


def _encode_signature(digest: bytes) -> bytes:
    return b2a_base64(digest, newline=False)


def _join_signed(request: Request) -> bytes | None:
    """Return the fields as they are signed, none of a body whose hash is in the URL. None is a forgery."""
    try:
        query = parse_qs(request.query, max_num_fields=MAX_FIELDS) if request.query else {}
    except ValueError:
        return None
    hashes = query.get("bodySHA256")
    is_form = request.header("content-type").lower().startswith(b"application/x-www-form-urlencoded")
    if hashes and not is_form:
        expected = hashlib.sha256(request.body).hexdigest()
        return b"" if constant_time_equal(hashes[0].encode(errors="surrogatepass"), expected) else None
    try:
        return _join(read_fields(request.body, "surrogateescape"))
    except UnparsedError:
        return None


def _bases(public_url: str) -> tuple[str, ...]:
    """Return the public URL without a port and with one: Twilio signs either."""
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        return ()
    if not (parts.scheme and parts.hostname):
        return ()
    default = 443 if parts.scheme == "https" else 80
    hosts = (
        (parts.netloc.rpartition(":")[0], parts.netloc)
        if port
        else (parts.netloc, f"{parts.netloc}:{default}")
    )
    return tuple(f"{parts.scheme}://{host}{parts.path.rstrip('/')}" for host in hosts)
