"""Views: `site` for everybody, `api` and `files` for programmes, `desk` for officers."""

from . import api, desk, files, site

__all__ = ["api", "desk", "files", "site"]
