"""Connection: whether it still stands is seen at its socket; only a doubtful one is asked (ADR 0046)."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL that is looked at before each request without a round trip.

    A server that has gone has closed its end, and a closed end can be read from; so can one at which
    a notice waits. Only then Django's `SELECT 1` is asked.
    """

    def is_usable(self) -> bool:
        """Whether the connection can be used for the next request."""
        if self.connection is None or self.connection.closed:
            return False
        watch = select.poll()
        watch.register(self.connection.fileno(), select.POLLIN)
        return bool(super().is_usable()) if watch.poll(0) else True


__all__ = ["DatabaseWrapper"]
