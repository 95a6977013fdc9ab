"""Quality's door for its siblings: report a wrong value, a dataset's score, its open corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lianyun.kernel.models import Batch, Case, Resource

from .actions import report_error, report_own_error
from .queries import desk, items_of, key_of, open_cases, owner_columns, reports_of

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

__all__ = [
    "corrections",
    "desk",
    "items_of",
    "key_of",
    "owner_columns",
    "report_error",
    "report_own_error",
    "reports_of",
    "score",
]


def score(resource: Resource) -> float | None:
    """The score of a dataset's newest assessed batch, 0 to 100."""
    found = (
        Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED, score__isnull=False)
        .order_by("-id")
        .first()
    )
    return found.score if found else None


def corrections(resource: Resource, viewer: Actor) -> list[Case]:
    """The dataset's open correction cases."""
    return open_cases(resource, viewer)
