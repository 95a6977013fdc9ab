"""Actions: every write of the builder, each allowed, atomic and recorded."""

from .making import (
    Imported,
    Saved,
    begin_workbook,
    copy_item,
    import_pack,
    restore,
    save_part,
    settle,
)
from .publishing import (
    PUBLISHED,
    on_case_closed,
    resume,
    review_service,
    submit,
    take_back,
    withdraw,
)
from .rehearsing import forget_rehearsal, keep_rehearsal

__all__ = [
    "PUBLISHED",
    "Imported",
    "Saved",
    "begin_workbook",
    "copy_item",
    "forget_rehearsal",
    "import_pack",
    "keep_rehearsal",
    "on_case_closed",
    "restore",
    "resume",
    "review_service",
    "save_part",
    "settle",
    "submit",
    "take_back",
    "withdraw",
]
