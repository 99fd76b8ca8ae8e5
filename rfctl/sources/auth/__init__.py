"""How a request proves itself, apart from how it is read: a token, a signature, a user with a password, or a JWT.

`config` has what the settings may say, `places` where a value stands in a request, `template` what is signed. `proofs`
and `jwt_proof` judge a request. Pure: no clock, no network.
"""

from rfctl.sources.auth.config import Auth

__all__ = ["Auth"]
