"""Views: login and logout, one's own account and identity, the counter, the administration."""

from .entry import Guard

__all__ = ["Guard"]
