"""Findings about receivers: not reached, or a certificate that ends; and about what cannot be set up here."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.facts import Receiver
from rfctl.observe.finding import Finding
from rfctl.text import counted

_DAYS = 14


def find_unreachable_receivers(examination: Examination) -> Iterator[Finding]:
    """Find receivers that a delivery could not reach now, and certificates that end within two weeks."""
    for receiver in examination.receivers or ():
        name, address = receiver.address.sink, receiver.address
        if receiver.problem:
            fact = f"sink {name}: {address.place} cannot be reached: {receiver.problem}"
            fix = "start or mend the receiver, or correct its address"
            yield Finding(
                "sink_unreachable", "error", name, fact, _certificate_fix(receiver) or fix, address.set_by
            )
        elif receiver.days_left is not None and receiver.days_left < _DAYS:
            days = counted(int(receiver.days_left), "day")
            fact = f"sink {name}: the certificate of {address.place} ends in {days}"
            yield Finding("certificate_ending", "warning", name, fact, "renew it before", address.set_by)


def _certificate_fix(receiver: Receiver) -> str:
    if "certificate" not in receiver.problem:
        return ""
    return "renew its certificate, or let this host trust who signed it (SSL_CERT_FILE)"


def find_unusable_settings(examination: Examination) -> Iterator[Finding]:
    """Find sources and sinks that cannot be set up with these settings on this host."""
    for problem in examination.settings_problems:
        subject = problem.partition(":")[0]
        fix = f"install what is missing, or correct it: rfctl config explain {subject}"
        yield Finding("settings_unusable", "error", subject, problem, fix)
