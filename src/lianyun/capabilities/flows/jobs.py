"""Jobs: working days that have passed let their cases go on."""

from __future__ import annotations

import logging

from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.case import due_timers

from . import actions

log = logging.getLogger(__name__)


def timers() -> int:
    """Fire every due timer, each case in a transaction of its own; returns how many went on.

    A case that fails is told to the log and stays due: the others go on.
    """
    done = 0
    for item in due_timers():
        try:
            actions.fire_timer(item, by=SYSTEM)
            done += 1
        except UserError:
            continue
        except Exception:
            log.exception("timer of work item %s", item.pk)
    return done
