"""Jobs: what services do by the clock."""

from __future__ import annotations

from . import actions


def tell_uses() -> None:
    """Every ten minutes: count calls as uses of their datasets."""
    actions.tell_uses()


def forget_nonces() -> None:
    """Every ten minutes: forget nonces too old to be accepted again, and tries of former days."""
    actions.forget_nonces()
    actions.forget_tries()
