"""Jobs: what quality does when a batch or a case ends, and each night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lianyun.kernel.access import SYSTEM

from . import actions

if TYPE_CHECKING:
    from lianyun.kernel.models import Event


def on_batch_finished(event: Event) -> None:
    """A batch was finished: score it and follow up what its checks found."""
    actions.on_batch_finished(event.subject.partition(":")[2])


def on_case_closed(event: Event) -> None:
    """A case was closed: tell the receivers if it corrected their rows."""
    actions.on_case_closed(event.subject.partition(":")[2])


def measure_scores() -> None:
    """Measure the scores of departments and city once a day."""
    actions.measure_scores(by=SYSTEM)
