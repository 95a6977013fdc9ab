"""Views: collection over HTTP: the board, datasets, batches, rejected rows, sources, uploads."""

from .batches import batch, batches, changes, correct, correct_file, progress, rejects_csv, undo
from .board import board, dataset
from .history import history
from .sources import (
    edit_source,
    enable_source,
    new_source,
    remove_source,
    run_source,
    source,
    sources,
    test_source,
)
from .upload import proposal, upload

__all__ = [
    "batch",
    "batches",
    "board",
    "changes",
    "correct",
    "correct_file",
    "dataset",
    "edit_source",
    "enable_source",
    "history",
    "new_source",
    "progress",
    "proposal",
    "rejects_csv",
    "remove_source",
    "run_source",
    "source",
    "sources",
    "test_source",
    "undo",
    "upload",
]
