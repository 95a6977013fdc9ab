"""Actions: make, change and refresh services, give out, change and close credentials."""

from __future__ import annotations

from .clients import close_client, collect_secret, issue_client, rotate_secret
from .federated import note_source, open_federated
from .keys import end_key, forget_nonces, register_key
from .publishing import (
    design_service,
    end_version,
    on_batch_finished,
    on_library_built,
    open_service,
    refresh_service,
)
from .trials import issue_trial
from .uses import forget_tries, tell_uses

__all__ = [
    "close_client",
    "collect_secret",
    "design_service",
    "end_key",
    "end_version",
    "forget_nonces",
    "forget_tries",
    "issue_client",
    "issue_trial",
    "note_source",
    "on_batch_finished",
    "on_library_built",
    "open_federated",
    "open_service",
    "refresh_service",
    "register_key",
    "rotate_secret",
    "tell_uses",
]
