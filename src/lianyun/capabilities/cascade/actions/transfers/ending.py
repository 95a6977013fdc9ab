"""Endings: what both sides do when a transfer has landed or failed."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.event import record

from ...adapters import rows
from ...models import Link, Transfer
from ..outbox import note_crossing


def fail_transfer(transfer: Transfer, error: str) -> None:
    """End a transfer with the reason; its files go."""
    with transaction.atomic():
        row = Transfer.objects.select_for_update().get(pk=transfer.pk)
        if row.stage in (Transfer.DONE, Transfer.FAILED):
            return
        row.stage, row.error, row.ended_at = Transfer.FAILED, error[:500], timezone.now()
        row.save(update_fields=["stage", "error", "ended_at"])
        record("transfer.failed", row, by=SYSTEM, data={"error": row.error})
    rows.drop(transfer.code, transfer.sending)


def transfer_of(link: Link, code: str, *, sending: bool) -> Transfer:
    """A transfer of this link; raises UserError where there is none."""
    found = (
        Transfer.objects.select_related("resource", "grant", "link")
        .filter(link=link, code=code, sending=sending)
        .first()
    )
    if found is None:
        raise UserError(f"没有编号为 {code} 的传送")
    return found


def note_landed(transfer: Transfer, number: str) -> None:
    """Both nodes keep the same crossing, each with the number of its own exchange record."""
    manifest = transfer.manifest
    note_crossing(
        transfer.link,
        transfer.code,
        transfer.get_kind_display(),
        transfer.resource.title,
        sending=transfer.sending,
        rows=int(manifest.get("rows") or 0) + int(manifest.get("gone") or 0),
        record=number,
    )


__all__ = ["fail_transfer", "note_landed", "transfer_of"]
