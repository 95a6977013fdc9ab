"""Use: how often each dataset was called, told to collection; tries of former days, forgotten."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from lianyun.capabilities.collection import api as collection

from ..models import Miss, Usage


def tell_uses() -> None:
    """Tell collection how often each dataset was called, so that a dead one can be named."""
    for row in Usage.objects.exclude(used=F("told")).select_related("grant__resource"):
        with transaction.atomic():
            locked = Usage.objects.select_for_update(of=("self",)).get(pk=row.pk)
            more = locked.used - locked.told
            if more > 0 and row.grant.resource is not None:
                collection.note_use(row.grant.resource.name, "service", more)
                Usage.objects.filter(pk=row.pk).update(told=F("told") + more)


def forget_tries() -> int:
    """Forget what was counted of verifications before today; returns how many counts."""
    return Miss.objects.filter(day__lt=timezone.localdate()).delete()[0]
