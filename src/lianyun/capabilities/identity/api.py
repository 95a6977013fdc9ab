"""Api: what sibling capabilities and the sample city may use of identity."""

from .actions import create_account, create_personal_account, disable_account
from .queries import accounts

__all__ = ["accounts", "create_account", "create_personal_account", "disable_account"]
