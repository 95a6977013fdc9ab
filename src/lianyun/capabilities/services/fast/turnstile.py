"""Turnstile: how often an address or a credential may try to prove itself, before anything is looked up.

Each process counts for itself: the secrets are 256 random bits, so the limits are there against
storms, not against guessing. What is refused here is refused alike, whatever was sent.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from lianyun.ui.visitor import place_of

from .. import rules
from .calls import Refused

FAILURES_OF_A_PAIR = 30
"""Failed tries a minute for one credential from one address: a system that was set up wrongly."""
FAILURES_OF_AN_ADDRESS = 120
FAILURES_OF_A_CLIENT = 120
"""From all addresses together, those excepted from where the credential was proven lately."""
TOKENS = 60
"""Access tokens a minute for one credential; one is good for ten minutes."""
RECEIPTS = 120
"""Receipts a minute for one credential."""
KNOWN = 4_096
KNOWN_SECONDS = 3_600.0


class Turnstile:
    """The tries of one process; memory of a fixed size, whoever comes."""

    def __init__(self) -> None:
        self.pairs = rules.Attempts(FAILURES_OF_A_PAIR)
        self.addresses = rules.Attempts(FAILURES_OF_AN_ADDRESS)
        self.clients = rules.Attempts(FAILURES_OF_A_CLIENT)
        self.tokens = rules.Attempts(TOKENS)
        self.receipts = rules.Attempts(RECEIPTS)
        self.known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, source: str, client_id: str) -> None:
        """Refuse a further try (429) where there were too many that failed.

        Where a credential was proven within the hour it is not locked out by what strangers try at
        other places, nor by what others try at the same.
        """
        if not self.pairs.heard:
            return
        now, place = time.monotonic(), place_of(source)
        wait = self.pairs.wait(f"{client_id} {place}", now)
        if not wait:
            proven = self.known.get((client_id, place))
            if proven is not None and now - proven < KNOWN_SECONDS:
                return
            wait = max(self.addresses.wait(place, now), self.clients.wait(client_id, now))
        if wait:
            raise _too_many(wait)

    def failed(self, source: str, client_id: str) -> None:
        """Count a try that proved nothing."""
        now, place = time.monotonic(), place_of(source)
        self.pairs.add(f"{client_id} {place}", now)
        self.addresses.add(place, now)
        if client_id:
            self.clients.add(client_id, now)

    def passed(self, source: str, client_id: str) -> None:
        """Remember from where a credential was proven."""
        pair = (client_id, place_of(source))
        self.known[pair] = time.monotonic()
        self.known.move_to_end(pair)
        if len(self.known) > KNOWN:
            self.known.popitem(last=False)

    def take(self, attempts: rules.Attempts, client_id: str) -> None:
        """Use one of what a credential may have in a minute; raises Refused (429)."""
        now = time.monotonic()
        wait = attempts.wait(client_id, now)
        if wait:
            raise _too_many(wait)
        attempts.add(client_id, now)


def _too_many(wait: int) -> Refused:
    return Refused(429, "quota", "尝试过于频繁，请稍后再试", retry=wait)


__all__ = ["Turnstile"]
