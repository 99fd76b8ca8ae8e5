"""An example of each body, by the name of its shape, and of each error, by its status. A test holds them to the shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PHONE = "79001234567"
_FACTS = {"redis": "redis://127.0.0.1:6379/0", "db": 0, "run_id": "005440ab48276589", "set_by": "the default"}

EXAMPLES: Mapping[str, Any] = {
    "GenericRequest": {"from": _PHONE, "message": "Привет,", "companyId": 962302, "messageId": "wamid.1"},
    "Receipt": {
        "success": True, "addedCount": 1, "duplicates": 0, "batches": [{"phone": _PHONE, "size": 1, "dueInMs": 5000}],
    },
    "Pending": {
        "success": True,
        "stats": {"pendingBatches": 1, "batches": [{"phone": _PHONE, "size": 1, "lastMessageAge": 1300}]},
    },
    "Discarded": {
        "success": True, "phone": _PHONE, "removed": 1,
        "messages": [{"message": "Привет,", "companyId": 962302, "messageId": "wamid.1", "timestamp": 1790000000001}],
    },
    "Held": {
        "success": True, "phone": _PHONE,
        "held": [{"until": "2026-11-29T23:00:23.422Z", "size": 0, "batch_key": _PHONE}],
    },
    "Released": {
        "success": True, "phone": _PHONE, "done": "handed over", "count": 2, "ids": ["1795536772327-0"],
    },
    "Health": {"status": "ok"},
    "Ready": {"status": "ready", **_FACTS, "lastTurnMs": 510, "findings": []},
    "NotReady": {
        "status": "not ready", "reason": "redis-away", "problem": "no connection to redis://127.0.0.1:6379/0",
        "next": "start Redis, or set redis.url",
    },
    "ProbeReport": {
        "daemon": "67cd9e002607", "pid": 21772, "role": "all",
        "links": [{"link": "store", "ms": 3.3, "problem": "", "next": "", "skipped": "", "sink": ""}],
    },
    "Document": {"openapi": "3.1.0", "paths": {}},
}  # fmt: skip

ERRORS: Mapping[int, str] = {
    400: "`message` is missing or empty: there is nothing to hand over",
    401: "this is not served to you: send Authorization: Bearer <http.admin_token>",
    403: "this is served to this machine only, and the Host is 'bot.example.com': "
    "add its host to http.allowed_hosts if it is this machine's, or set http.admin_token to allow it",
    404: "there is no source nope",
    409: "crm is paused already: moving",
    413: "the body is larger than 3145728 bytes (http.max_body_bytes)",
    415: "source generic has no secret and takes JSON alone: send Content-Type: application/json, "
    "or set sources.generic.secrets",
    429: "too many wrong tokens came: wait 41 s",
    431: "the header is larger than 16384 bytes (http.max_header_bytes)",
    500: "a bug in rfctl: see its log",
    503: "the daemon stops; nothing was acknowledged, send it again",
}
"""What is said in such a case. The words may change, the shape stays."""
TEXTS: Mapping[str, str] = {
    "answerHandshake": "1158201444",
    "reportMetrics": "# TYPE rfctl_redis_up gauge\nrfctl_redis_up 1.0\n# EOF\n",
}
"""Bodies that are no JSON, by the name of their operation."""
