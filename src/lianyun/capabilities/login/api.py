"""Api: what the sample city and sibling capabilities may use of the login."""

from .actions import Design, provider, register_system
from .models import ClientSystem

__all__ = ["ClientSystem", "Design", "provider", "register_system"]
