"""Actions: every write of items, each allowed, atomic and recorded."""

from .editing import discard_draft, draft_item, edit_item, resume_item, retire_item
from .imports import ImportReport, import_items, perform_import, start_import
from .publishing import publish_content
from .reviews import on_case_closed, review_item, submit_item
from .sync import SyncReport, sync_declared

__all__ = [
    "ImportReport",
    "SyncReport",
    "discard_draft",
    "draft_item",
    "edit_item",
    "import_items",
    "on_case_closed",
    "perform_import",
    "publish_content",
    "resume_item",
    "retire_item",
    "review_item",
    "start_import",
    "submit_item",
    "sync_declared",
]
