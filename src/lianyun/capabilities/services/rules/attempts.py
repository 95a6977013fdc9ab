"""Attempts: how often each of any number of names was heard within a window, in memory of a fixed size."""

from __future__ import annotations

import hashlib
import math
import secrets
from array import array

PLACES = 1 << 15
ROWS = 2


class Attempts:
    """Counts by name within windows of so many seconds (a count-min sketch of 256 KiB).

    Never counts too little. It counts too much only where other names of the same window fell on
    both of a name's places, which are drawn from a key of this process: nobody can aim at them, and
    a storm of names takes no more memory than one.
    """

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        """`most`: so many of one name are free in a window."""
        self.most, self.seconds = most, seconds
        self.key = secrets.token_bytes(16)
        self.counts = [array("I", bytes(4 * PLACES)) for _ in range(ROWS)]
        self.ends = 0.0
        self.heard = 0

    def _places(self, name: str) -> tuple[int, int]:
        made = hashlib.blake2b(name.encode(), digest_size=8, key=self.key).digest()
        return int.from_bytes(made[:4]) % PLACES, int.from_bytes(made[4:]) % PLACES

    def _turn(self, now: float) -> None:
        if now < self.ends:
            return
        if self.heard:
            self.counts = [array("I", bytes(4 * PLACES)) for _ in range(ROWS)]
            self.heard = 0
        self.ends = now + self.seconds

    def add(self, name: str, now: float) -> None:
        """Hear a name once; `now` is a monotonic clock's."""
        self._turn(now)
        self.heard += 1
        for row, place in zip(self.counts, self._places(name), strict=True):
            row[place] += 1

    def wait(self, name: str, now: float) -> int:
        """After how many seconds a name is free again; 0 where it is."""
        if self.heard < self.most or now >= self.ends:
            return 0
        heard = min(row[p] for row, p in zip(self.counts, self._places(name), strict=True))
        return max(1, math.ceil(self.ends - now)) if heard >= self.most else 0


__all__ = ["Attempts"]
