"""From the settings to requests that a source's provider could have sent, and to what must become of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.assembly.batching import build_policy
from rfctl.assembly.sources import build_sources, list_source_configs
from rfctl.batching import Policy, Timers
from rfctl.config.settings import Settings
from rfctl.errors import BadRequestError, NothingFoundError, UsageError
from rfctl.model.message import Message, normalize_phone
from rfctl.simulation import PlannedMessage
from rfctl.sources.config import SourceConfig
from rfctl.sources.contract import ParseResult, Request, ServedSource, UnparsedError
from rfctl.sources.registry import SPECS
from rfctl.sources.stand_ins import Script, StandIn, build_stand_in, write_request
from rfctl.text import did_you_mean

_RULE = "its rule would not let them wait: take the rule away, or give another --phone"


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A source, and the stand-in of its provider. `first_number` is where the numbers of this run's messages begin."""

    served: ServedSource
    config: SourceConfig
    stand_in: StandIn
    first_number: int

    def write(self, message: PlannedMessage, place: int, now_ms: int) -> Request:
        """Return the request with this message, signed for now (Unix ms). Raises UsageError where none can be."""
        script = Script(message.phone, message.text, message.id, self.first_number + place, now_ms)
        try:
            return write_request(self.served.name, self.config, self.stand_in, script, now_ms)
        except ValueError as problem:
            raise self._explain(str(problem)) from None

    def foresee(self, message: PlannedMessage, place: int, now_ms: int) -> Message:
        """Return the message as the source reads it. Raises UsageError, in words, where it would not take it."""
        request, source = self.write(message, place, now_ms), self.served.source
        if self.served.verified and not source.verify(request, now_ms):
            raise self._explain(source.explain_rejection(request, now_ms))
        try:
            parsed = source.parse(source.open_body(request) if self.served.opens_bodies else request.body)
            if self.served.tenants is not None:
                parsed, _ = self.served.tenants.assign(source, parsed, request.body)
        except (UnparsedError, BadRequestError) as problem:
            raise self._explain(f"it could not read its own message: {problem.fact}") from None
        if fault := _find_fault(parsed, message):
            raise self._explain(fault)
        return parsed.messages[0]

    def foresee_all(self, messages: Sequence[PlannedMessage], now_ms: int) -> list[PlannedMessage]:
        """Return the messages under the phones and ids by which they will be handed over. Raises UsageError."""
        foreseen = [self.foresee(message, place, now_ms) for place, message in enumerate(messages)]
        return [
            PlannedMessage(message.at_s, result.phone, result.id, message.text)
            for message, result in zip(messages, foreseen, strict=True)
        ]

    def find_timers(self, settings: Settings, daemon: Timers, message: PlannedMessage, now_ms: int) -> Timers:
        """Return by which timers its messages wait: the daemon's, but for what rules and the source set.

        Raises UsageError for a rule that does something at once, or for hours: then there is nothing to check.
        """
        policy, result = Policy(daemon, build_policy(settings).rules), self.foresee(message, 0, now_ms)
        acting = [rule for rule in policy.list_matching(result, now_ms) if rule.action]
        if acting:
            raise UsageError(
                f"the messages meet the rule {acting[0].name}, which has the action {acting[0].action}",
                next=_RULE,
            )
        decision = policy.decide(result, now_ms)
        return Timers(decision.quiet_ms, decision.max_size, decision.max_wait_ms)

    def _explain(self, why: str) -> UsageError:
        fact = f"source {self.served.name} cannot be simulated: {why}"
        step = f"capture a request, and look at it with rfctl source try {self.served.name} FILE"
        return UsageError(fact, next=step)


def _find_fault(parsed: ParseResult, message: PlannedMessage) -> str:
    """Return why what was read is not this message alone; "" if it is."""
    if parsed.unparsed:
        return f"it could not read its own message: {parsed.unparsed[0].why}"
    if len(parsed.messages) != 1:
        kinds = ", ".join(parsed.skipped)
        return "its settings take such a message for no message" + (f", but for: {kinds}" if kinds else "")
    result = parsed.messages[0]
    if result.text != message.text:
        return f"its settings read another text than was written: {result.text[:40]!r}"
    if normalize_phone(result.phone) != normalize_phone(message.phone):
        return f"its settings read another phone than was written: {result.phone[:40]!r}"
    return ""


def build_impersonation(settings: Settings, name: str, first_number: int) -> Impersonation:
    """Return what writes requests to a source of these settings. Raises NothingFoundError with near names."""
    configs = list_source_configs(settings)
    if name not in configs:
        near = did_you_mean(name, configs) or f"; there is {', '.join(sorted(configs))}"
        raise NothingFoundError(f"there is no source {name} in the settings{near}", next="rfctl config show")
    config, served = configs[name], build_sources(settings)[name]
    return Impersonation(served, config, build_stand_in(SPECS[config.type], config), first_number)
