"""Breaker: keeps callers away from a source that fails, and lets one try now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 3
REST_SECONDS = 10.0
LONGEST_REST_SECONDS = 120.0


class Breaker:
    """Keeps callers away from a source that fails: closed → open after `failures` → half-open.

    While half-open one caller tries; if it fails the rest doubles (up to two minutes).
    """

    def __init__(
        self,
        failures: int = FAILURES,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._first_rest, self._clock = failures, rest, clock
        self._guard = threading.Lock()
        self._failed, self._rest, self._until, self._probing = 0, rest, 0.0, False
        self.state = "closed"
        self.reason = ""

    def enter(self) -> float:
        """Let a caller through (0), or say how many seconds the source still rests."""
        with self._guard:
            if self.state == "closed":
                return 0.0
            left = self._until - self._clock()
            if left > 0:
                return left
            if self._probing:
                return 1.0
            self.state, self._probing = "half-open", True
            return 0.0

    def good(self) -> bool:
        """The source answered; returns whether the state changed."""
        with self._guard:
            changed = self.state != "closed"
            self.state, self.reason, self._failed = "closed", "", 0
            self._probing, self._rest = False, self._first_rest
            return changed

    def bad(self, reason: str) -> bool:
        """The source failed; returns whether the state changed."""
        with self._guard:
            self._failed += 1
            self.reason = reason
            if self.state == "half-open":
                self._rest = min(self._rest * 2, LONGEST_REST_SECONDS)
            elif self._failed < self._limit or self.state == "open":
                return False
            self.state, self._probing = "open", False
            self._until = self._clock() + self._rest
            return True

    def leave(self) -> None:
        """A probe that came to no verdict (nothing was asked of the source after all)."""
        with self._guard:
            if self.state == "half-open":
                self.state, self._probing = "open", False
