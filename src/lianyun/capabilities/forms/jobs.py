"""Jobs of forms: drafts that nobody has touched for long are thrown away."""

from __future__ import annotations

from lianyun.kernel.access import SYSTEM

from . import actions


def tidy() -> str:
    """Every night."""
    return f"清理过期草稿 {actions.tidy(by=SYSTEM)} 份"
