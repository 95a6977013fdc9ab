"""Sample messages: what the sample city's own cases give its people to read; nothing is invented.

The ledger is sealed and read on as the worker would; officers are told what waits for them today.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone


def tell() -> dict[str, Any]:
    """Make and send the messages of what has happened; returns how many, and how they went."""
    from lianyun.capabilities.messages import api as messages
    from lianyun.kernel import event
    from lianyun.kernel.access import SYSTEM

    while event.seal():
        pass
    made = messages.take(by=SYSTEM)
    officers = messages.tell_work(timezone.localdate(), by=SYSTEM)
    went = messages.send_due(by=SYSTEM)
    return {"messages": made, "officers": officers, **went}
