"""Fast path: the data services' own small ASGI application, one round trip to PostgreSQL per call.

The grant is asked again in the same statement that looks the row up, so a withdrawal stops the next
call on every worker whatever stands in memory. Each call is written to a journal file before it is
answered and to the chained call records within 200 ms; a worker that dies leaves its journal to the
next one. Where calls can no longer be recorded, none is answered (503).

`door` (ASGI) → `plane` (one worker) → `credentials` (who calls) → `rights` (what the grant allows)
→ `leases` (how often) → `answers` (what is given) → `records` (before it is sent).
"""

from __future__ import annotations

from .door import app, shutdown, startup
from .plane import Plane

__all__ = ["Plane", "app", "shutdown", "startup"]
