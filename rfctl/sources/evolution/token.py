"""The token that Evolution API signs for its webhook when the setting `headers.jwt_key` is there.

Any bytes may come, and are no token of ours unless one of our secrets signed them. The token
is HS256 with exp = iat + 600 s, app=evolution, action=webhook (webhook.controller.ts in
github.com/evolution-foundation/evolution-api). It says nothing about the body.
"""

from __future__ import annotations

import warnings

import jwt

GRACE_MS = 1_200_000
"""How long after its `exp` a token is still good.

Evolution makes it once an event and sends it again with every retry (10 tries, 5 s doubling to 300 s, each
up to 30 s: half an hour in all), and never retries a 401: a strict `exp` would lose what waited for us.
"""


def is_signed(token: bytes, secret: str, now_ms: int) -> bool:
    """Say whether this is a token of Evolution's, signed with the secret and not older than a retry can be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a short secret is a weak one is said when it is configured
            claims = jwt.decode(
                token,
                secret.encode(),
                algorithms=["HS256"],
                options={
                    "require": ["exp"],
                    "verify_exp": False,  # by `now_ms`, not by the clock on the wall
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # a stranger's token may be anything
        return False
    expires = claims["exp"]
    fresh = isinstance(expires, int | float) and now_ms <= expires * 1000 + GRACE_MS
    return fresh and claims.get("app") == "evolution" and claims.get("action") == "webhook"
