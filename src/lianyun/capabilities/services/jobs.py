"""Jobs: what services do by the clock."""

from __future__ import annotations

from . import actions


def tell_uses() -> None:
    """Every ten minutes: count calls as uses of their datasets."""
    actions.tell_uses()


def forget_nonces() -> None:
    """Every ten minutes: forget nonces of signed requests too old to be accepted again."""
    actions.forget_nonces()
