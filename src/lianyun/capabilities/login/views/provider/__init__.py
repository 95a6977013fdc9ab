"""Provider: the OpenID Connect endpoints, by what they are asked."""

from .authorization import again, authorize, consent, onward
from .discovery import discovery, jwks
from .leaving import end_session, leave
from .tokens import introspect, revoke, token, userinfo

__all__ = [
    "again",
    "authorize",
    "consent",
    "discovery",
    "end_session",
    "introspect",
    "jwks",
    "leave",
    "onward",
    "revoke",
    "token",
    "userinfo",
]
