"""Tries a captured request as the webhook would take it, and says what would come of it. Nothing is stored or counted.

It goes the way of a request: the same proof, the same source, the same rules. Only Redis is not there, so a repeat is
not known as one, and a batch has no other messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rfctl.batching import BatchingRules, Rule
from rfctl.ingest.encodings import check_encoding, unpack_gzip
from rfctl.ingest.head import Head
from rfctl.ingest.opening import open_body
from rfctl.ingest.reader import BodyReader
from rfctl.ingest.receipt import build_answer
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.responses import Answer, make_error_answer, make_text_answer
from rfctl.model.message import Message, Unparsed
from rfctl.model.stored import Added
from rfctl.sources.contract import ParseResult, ServedSource
from rfctl.store import Terms


@dataclass(frozen=True, slots=True)
class TriedMessage:
    """One message as it would come in: its batch key, the rules that it meets, and what follows from them."""

    message: Message
    batch_key: str
    rules: Sequence[Rule]
    terms: Terms

    @property
    def due_in_ms(self) -> int | None:
        """In how many ms its batch would be due if nothing followed: 0 for at once, None for never."""
        if self.terms.action == "drop":
            return None
        is_alone = self.terms.action or self.terms.max_size <= 1
        return 0 if is_alone else min(self.terms.quiet_ms, self.terms.max_wait_ms)


@dataclass(frozen=True, slots=True)
class Trial:
    """What would come of one request. `proof_fault` is why its proof fails, "" where it holds, None where none was tried.

    `rejected` is why it would be rejected as a whole, "" if it is not; what is in it is read all the same. `unknown_accounts`
    counts messages to accounts that `companies` does not name.
    """

    proof_fault: str | None
    answer: Answer
    rejected: str = ""
    messages: Sequence[TriedMessage] = ()
    unparsed: Sequence[Unparsed] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    is_handshake: bool = False
    unknown_accounts: int = 0

    @property
    def is_good(self) -> bool:
        """Whether something came out, and nothing is wrong."""
        has_result = bool(self.messages) or self.is_handshake
        return has_result and not (self.unparsed or self.rejected or self.proof_fault)


class TrialRun:
    """Tries requests to one source. `now_ms` is this host's time, by which signatures and rules go."""

    def __init__(
        self,
        served: ServedSource,
        rules: BatchingRules,
        placeholder: str,
        max_body_bytes: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._served = served
        self._unproved = replace(served, verified=False)
        self._rules = rules
        self._max_bytes = max(max_body_bytes, served.max_body_bytes)
        self._max_unpacked_bytes = max_body_bytes
        self._now_ms = now_ms
        self._unknown_accounts = 0
        self._reader = BodyReader(placeholder, self._count)

    def _count(self, counts: Mapping[str, int]) -> None:
        self._unknown_accounts += sum(counts.values())

    def try_request(self, head: Head, body: bytes, *, with_proof: bool) -> Trial:
        """Return what would come of a request. Without `with_proof` its head is not the sender's, and proves nothing."""
        self._unknown_accounts = 0
        if head.method == "GET":
            return self._try_handshake(head)
        try:
            body = self._unpack(head, body)
        except RejectedError as problem:
            return Trial(None, problem.build_answer(), problem.fact)
        rejection, fault = self._find_rejection(head, body) if with_proof else (None, None)
        try:
            parsed = self._reader.read(self._served, self._open(head, body))
        except RejectedError as problem:
            rejection, parsed = rejection or problem, ParseResult()
        return self._judge(parsed, rejection, fault)

    def _try_handshake(self, head: Head) -> Trial:
        served = self._served
        if not served.handshake_hint:
            fact = f"source {served.name} takes requests by POST, and answers no GET"
            return Trial(None, make_error_answer(fact, 403), fact)
        words = served.source.handshake(head.build_request(b""))
        if words is None:
            return Trial(
                None, Answer(403), f"the handshake names another verify token: {served.handshake_hint}"
            )
        return Trial(None, make_text_answer(words.encode()), is_handshake=True)

    def _unpack(self, head: Head, body: bytes) -> bytes:
        name, size = self._served.name, len(body)
        if size > self._max_bytes:
            fact = f"the body has {size} bytes, and {self._max_bytes} are the limit (http.max_body_bytes)"
            raise RejectedError(fact, 413, "body-too-large", source=name)
        return unpack_gzip(body, self._max_unpacked_bytes, name) if check_encoding(head, name) else body

    def _find_rejection(self, head: Head, body: bytes) -> tuple[RejectedError | None, str | None]:
        """Return why the proof of a request fails, also in words; "" if it holds, None for a source that asks for none."""
        try:
            open_body(self._served, head, body, self._now_ms)
        except RejectedError as problem:
            return problem, self._served.source.explain_rejection(head.build_request(body), self._now_ms())
        return None, "" if self._served.verified else None

    def _open(self, head: Head, body: bytes) -> bytes:
        return open_body(self._unproved, head, body, self._now_ms)

    def _judge(self, parsed: ParseResult, rejection: RejectedError | None, fault: str | None) -> Trial:
        messages = [] if parsed.reply else self._decide(parsed.messages)
        if rejection is not None:
            answer = rejection.build_answer()
        elif parsed.reply is not None:
            answer = make_text_answer(parsed.reply.body, parsed.reply.content_type)
        else:
            answer = build_answer(self._served, _build_results(messages))
        return Trial(
            fault,
            answer,
            "" if rejection is None else rejection.fact,
            messages,
            [Unparsed(self._served.source.redact(part.body), part.why) for part in parsed.unparsed],
            parsed.skipped,
            parsed.reply is not None,
            self._unknown_accounts,
        )

    def _decide(self, messages: Sequence[Message]) -> list[TriedMessage]:
        policy, now_ms = self._rules.policy, self._rules.now_ms()
        additions = self._rules.build_additions(self._reader.prepare(messages, ""))
        return [
            TriedMessage(
                addition.message,
                addition.batch_key,
                [rule for rule in policy.list_matching(addition.message, now_ms) if _sets_something(rule)],
                addition.terms,
            )
            for addition in additions
        ]


def _sets_something(rule: Rule) -> bool:
    return bool(rule.action or rule.quiet_ms or rule.max_size or rule.max_wait_ms)


def _build_results(messages: Sequence[TriedMessage]) -> list[Added]:
    """Return what would have become of each message, if nothing else were pending."""
    sizes: dict[str, int] = {}
    results: list[Added] = []
    for tried in messages:
        due_in_ms, phone = tried.due_in_ms, tried.message.phone
        if due_in_ms is None:
            results.append(Added(phone, False, 0, 0, dropped_by=tried.terms.rule))
            continue
        size = sizes[tried.batch_key] = sizes.get(tried.batch_key, 0) + 1
        results.append(Added(phone, True, size, due_in_ms))
    return results
