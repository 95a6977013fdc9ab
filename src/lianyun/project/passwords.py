"""Password: how it is kept: argon2id with the parameters that OWASP recommends.

OWASP's Password Storage Cheat Sheet names 19 MiB, two passes, one lane, and calls it as strong as
7 MiB with five passes (Keycloak's default). Django's own default (100 MiB, eight lanes) lets a few
dozen guesses at a time fill a small machine's memory.
"""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Passwords(Argon2PasswordHasher):
    """Argon2id: 19 MiB, two passes, one lane; what was kept otherwise is kept anew at its login."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1


__all__ = ["Passwords"]
