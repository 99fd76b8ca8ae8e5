"""HTTP in: a request is verified, parsed, stored, and only then answered."""

from rfctl.ingest.app import Webhook
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.quarantine_retry import QuarantineRetry, RetryResult
from rfctl.ingest.receiver import Receiver

__all__ = ["GroupCommit", "QuarantineRetry", "Receiver", "RetryResult", "Webhook"]
