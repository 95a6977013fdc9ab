"""Actions: every write of open data: `opening` by officers and jobs, `public` by visitors."""

from .opening import (
    add_sheet,
    close,
    do_step,
    on_batch_finished,
    propose,
    refresh,
    refresh_all,
    sweep,
)
from .public import (
    TooMany,
    answer,
    correct,
    count_uses,
    give_key,
    note_key_use,
    rate,
    speak,
    spend,
)

__all__ = [
    "TooMany",
    "add_sheet",
    "answer",
    "close",
    "correct",
    "count_uses",
    "do_step",
    "give_key",
    "note_key_use",
    "on_batch_finished",
    "propose",
    "rate",
    "refresh",
    "refresh_all",
    "speak",
    "spend",
    "sweep",
]
