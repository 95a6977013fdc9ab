"""Actions: every write of the catalogue, each allowed, atomic and recorded."""

from .entries import (
    discard_draft,
    draft_resource,
    edit_resource,
    new_version,
    register_dataset,
    register_lineage,
    withdraw_resource,
)
from .imports import (
    ImportReport,
    apply_import,
    import_catalogue,
    perform_import,
    plan_import,
    start_import,
)
from .origins import adopt_entry, origin_of, retire_entry
from .reviews import do_review, on_case_closed, submit_entry
from .sync import SyncReport, declare_library, sync_declared

__all__ = [
    "ImportReport",
    "SyncReport",
    "adopt_entry",
    "apply_import",
    "declare_library",
    "discard_draft",
    "do_review",
    "draft_resource",
    "edit_resource",
    "import_catalogue",
    "new_version",
    "on_case_closed",
    "origin_of",
    "perform_import",
    "plan_import",
    "register_dataset",
    "register_lineage",
    "retire_entry",
    "start_import",
    "submit_entry",
    "sync_declared",
    "withdraw_resource",
]
