"""The text of config.example.toml: every setting with its default, and real configurations to begin with.

What is commented out stands behind `# ` in the fixed sections and behind `#   ` in those that the operator names;
everything else behind a `#` is talk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from rfctl.config.options import NAMED, Option, options

_HEAD = """\
# rfctl: every setting with its default. Take away the # to change one.
# Also RFCTL_SECTION__NAME in the environment, which wins over this file; `rfctl config show` tells who won."""

READY = {
    "sources": """\
# Where messages come from: POST /webhook/NAME. Without any there is one, generic, the Node service's own webhook.
#
# WhatsApp Cloud: the app secret of Meta's app, and the token that its webhook page was given
#   [sources.salon]
#   type = "whatsapp-cloud"
#   secrets = ["app secret"]
#   verify_token = "a word of your own"
#   company = 962302
#   quiet_ms = 4000
#
# Twilio: the auth token, and the address that Twilio calls, which is part of the signature
#   [sources.sms]
#   type = "twilio"
#   secrets = ["auth token"]
#   public_url = "https://bot.example.com"
#
# Telegram: the secret_token that setWebhook was given
#   [sources.telegram]
#   type = "telegram"
#   secrets = ["a_secret_token"]
#
# Evolution API: the webhook's headers.jwt_key, or what its fixed Authorization or apikey header says
#   [sources.evolution]
#   type = "evolution"
#   secrets = ["jwt key"]
#
# WAHA: the webhook's hmac key
#   [sources.waha]
#   type = "waha"
#   secrets = ["hmac key"]
#
# GREEN-API: the instance's webhookUrlToken
#   [sources.green]
#   type = "green-api"
#   secrets = ["webhookUrlToken"]
#
# The Node service's own forms, signed with X-Signature and X-Timestamp
#   [sources.generic]
#   secrets = ["shared with the sender"]
#
# Anybody's JSON, by a map of where it says what
#   [sources.shop]
#   type = "generic"
#   secrets = ["token"]
#   auth = "token"
#   map = { each = "messages", phone = "sender.phone", text = "text", id = "id" }""",
    "rules": """\
# What is treated otherwise. Rules are asked in their order; each timer, and `then`, comes from the first that sets it.
#
# A stop word throws away what is pending, and goes to the bot by itself
#   [rules.stop]
#   words = ["stop", "стоп", "отмена"]
#   action = "discard_batch"
#
# A command goes to the bot by itself, behind what is pending
#   [rules.commands]
#   prefixes = ["/"]
#   action = "send_alone"
#
# Pictures wait longer, for what is still to be said about them
#   [rules.pictures]
#   types = ["image", "video"]
#   quiet_ms = 8000
#
# One company's own timers
#   [rules.barber]
#   companies = [962302]
#   quiet_ms = 3000
#   max_size = 5""",
    "sinks": """\
# Where merged messages go. Without any they stay in output.stream, for workers with a consumer group of their own.
#
# BullMQ, as the Node service's worker reads it
#   [sinks.bot]
#   type = "bullmq"
#   queue = "company-{company}-messages"
#   job = "process-message"
#
# HTTP: a POST, signed by Standard Webhooks (make a secret of your own: echo whsec_$(openssl rand -base64 32))
#   [sinks.crm]
#   type = "http"
#   url = "https://crm.example.com/messages"
#   secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
#   retry_delays_ms = [5000, 300000]
#
# A list in the same Redis, for BLPOP: exactly once
#   [sinks.queue]
#   type = "list"
#   key = "messages:{company}"
#
# The output stream and the group of your workers: nothing is trimmed that the group has not acknowledged
#   [sinks.workers]
#   type = "stream"
#   group = "bot"
#
# Celery: a task by its name
#   [sinks.tasks]
#   type = "celery"
#   url = "redis://127.0.0.1:6379/1"
#   task = "bot.tasks.answer"
#
# RQ: a function by its dotted path
#   [sinks.jobs]
#   type = "rq"
#   task = "bot.jobs.answer"
#   queue = "bot"
#
# A program for each message, which gets JSON on its standard input
#   [sinks.script]
#   type = "command"
#   command = ["/usr/local/bin/answer", "--json"]
#   timeout_ms = 30000
#
# Standard output of the daemon, a line of JSON for each message
#   [sinks.lines]
#   type = "stdout\"""",
}
"""For each kind of named section what stands before its settings."""

_VALUES: dict[str, Any] = {
    "sources.NAME.type": "whatsapp-cloud",
    "sources.NAME.secrets": ["the secret", "the one before it"],
    "sources.NAME.company": "962302",
    "sources.NAME.quiet_ms": 4000,
    "sources.NAME.max_size": 5,
    "sources.NAME.max_wait_ms": 30_000,
    "sources.NAME.dedupe_s": 172_800,
    "sources.NAME.verify_token": "a word of your own",
    "sources.NAME.public_url": "https://bot.example.com",
    "sources.NAME.map": {"phone": "sender.phone", "text": "text", "id": "id"},
    "sources.NAME.auth_header": "X-Token",
    "rules.NAME.sources": ["generic"],
    "rules.NAME.companies": ["962302"],
    "rules.NAME.accounts": ["106540352242922"],
    "rules.NAME.types": ["image", "video"],
    "rules.NAME.words": ["stop", "стоп"],
    "rules.NAME.prefixes": ["/"],
    "rules.NAME.patterns": ["/[a-z]+", "[0-9]{4}"],
    "rules.NAME.quiet_ms": 8000,
    "rules.NAME.max_size": 20,
    "rules.NAME.max_wait_ms": 120_000,
    "sinks.NAME.type": "http",
    "sinks.NAME.key": "messages:{company}",
    "sinks.NAME.group": "bot",
    "sinks.NAME.url": "https://crm.example.com/messages",
    "sinks.NAME.secret": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"],
    "sinks.NAME.headers": {"X-Tenant": "salon"},
    "sinks.NAME.queue": "company-{company}-messages",
    "sinks.NAME.task": "bot.tasks.answer",
    "sinks.NAME.command": ["/usr/local/bin/answer", "--json"],
    "sinks.NAME.options": {"room": "support"},
}
"""What is shown of settings that are empty or unset by default: a value that says more than nothing."""


def example() -> str:
    """Return config.example.toml."""
    fixed = [one for one in options() if ".NAME." not in one.name]
    blocks = [_HEAD, *_fixed(fixed)]
    for section in NAMED:
        blocks += [READY[section], _named(section)]
    return "\n\n".join(blocks) + "\n"


def _fixed(rows: list[Option]) -> Iterator[str]:
    for section in dict.fromkeys(one.name.partition(".")[0] for one in rows):
        lines = [f"[{section}]"]
        for one in rows:
            head, _, name = one.name.rpartition(".")
            if head == section:
                lines += [f"# {one.about} ({one.kind})", f"# {name} = {written(one.default)}"]
        yield "\n".join(lines)


def _named(section: str) -> str:
    lines = [f"# Everything that can stand in one of the {section}:", f"# [{section}.NAME]"]
    for one in options():
        head, _, name = one.name.rpartition(".")
        if head == f"{section}.NAME":
            value = _VALUES.get(one.name, one.default)
            lines += [f"# {one.about} ({_facts(one)})", f"#   {name} = {written(value)}"]
    return "\n".join(lines)


def _facts(one: Option) -> str:
    facts = [one.kind]
    if one.only:
        facts.append(f"for {', '.join(one.only)}")
    if one.name.endswith(".type"):
        facts.append("needed")
    elif one.default is None:
        facts.append("unset by default")
    elif one.name in _VALUES:
        facts.append("empty by default")
    return "; ".join(facts)


def written(value: Any) -> str:
    """Return a value as TOML, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {written(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(written(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
