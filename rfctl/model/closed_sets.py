"""The closed sets of words that settings, scripts and records use."""

from __future__ import annotations

from typing import Literal

Action = Literal[
    "",
    "send_alone",
    "send_batch",
    "discard_batch",
    "drop",
    "wait_until_open",
    "hold",
    "own_hold",
    "own_close",
    "own_discard",
    "own_release",
    "own_ignore",
]
"""What becomes of a matching message and its batch; "" lets it wait like any other.

send_alone: the pending batch is handed over first, then this message by itself. send_batch: the message joins the
batch, and the batch leaves. discard_batch: the pending batch is thrown away (and counted), then this message leaves.
drop: the message is counted, and goes nowhere; its id is remembered. wait_until_open: its batch waits until the hours of
the rule begin. hold: the message joins the batch, and the bot gets nothing of it until a time. The words of somebody on
our side begin with own_, and are no message: own_hold holds the batch, own_close hands it over, own_discard throws it
away, own_release ends its hold, own_ignore does nothing.
"""

OwnWords = Literal["ignore", "close", "hold", "pass"]
"""What the words of somebody on our side do to the batch of the person that they were sent to."""

DrainReason = Literal["flush", "shutdown"]
"""Why a batch is handed over before it is due: an operator asks for it, or the last scheduler stops."""

DueEnd = Literal["oldest", "newest"]
"""Where a hand-over begins: at what is due longest, or at what has become due last."""

Reason = Literal[
    "quiet",
    "max-wait",
    "size",
    "bypass",
    "company",
    "source",
    "flush",
    "shutdown",
    "empty",
    "released",
    "closed",
]
"""Why a batch was handed over, as the output stream has it.

quiet, max-wait and size are the three timers. bypass is a rule's action. company: the next message is another
company's. source: it differs in its source, platform, account or chat, or only one of the two is simulated.
empty: the batch said nothing, and was dropped; the output stream has no such entry. released: the person was held, and is
no longer. closed: somebody on our side has answered.
"""

MESSAGE_TYPES = (
    "text", "image", "video", "audio", "voice", "document", "sticker", "location", "contacts", "button", "reaction",
    "edit", "deletion", "transcript", "poll", "order", "form", "dice", "system", "unsupported",
)  # fmt: skip
"""The types that the sources give. A type of a provider that is none of these keeps the provider's name."""

CHANGES = frozenset({"edit", "deletion", "transcript"})
"""Types of messages that change the text of the message that they refer to, as long as it is pending."""

SkippedKind = Literal["own", "status", "event", "error", "unread"]
"""What a part of a request is that is no message of a person.

own: somebody on our side wrote it. status: how far a message of ours has come. event: anything else that happened; its
name may stand behind it, as in event:typing. error: the provider could not deliver something. unread: no path of the
source's map leads there.
"""

Order = Literal["arrival", "sent"]
"""How the texts of a batch are ordered: as they arrived, or by the sender's clock."""

Role = Literal["all", "webhook", "processor", "forwarder"]
"""What a daemon does: take messages in, hand batches over, deliver to sinks, or all three."""

RedisType = Literal["list", "stream"]
"""What a sink may fill in the same Redis."""

PageMode = Literal["off", "read-only", "on"]
"""What the web page of a daemon does."""
