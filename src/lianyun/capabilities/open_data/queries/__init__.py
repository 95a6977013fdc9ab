"""Queries: every read of open data: `site` for everybody, `desk` for officers."""

from . import desk, site

__all__ = ["desk", "site"]
