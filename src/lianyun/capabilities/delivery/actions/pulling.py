"""Pulling: the receiver asks with a cursor; coming back with the next one says that it has the page."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.lake.shelves import LakeError, quote

from .. import adapters, queries, rules
from ..models import Subscription
from .parcels import begin, settle, up_to_date
from .recording import note_record

OPERATION = "_op"


@dataclass(frozen=True)
class Cursor:
    """Where a puller stands: after everything up to `since`, and `offset` rows into what follows."""

    since: str = ""
    upto: str = ""
    shape: str = ""
    offset: int = 0

    def text(self, key: str) -> str:
        """The cursor as callers carry it, sealed with the subscription's own key.

        Another one would ask for what the lake held before the right was given.
        """
        told = json.dumps([self.since, self.upto, self.shape, self.offset], ensure_ascii=False)
        raw = told.encode()
        return base64.urlsafe_b64encode(_mark(key, raw) + raw).decode().rstrip("=")

    @classmethod
    def of(cls, text: str, key: str) -> Cursor:
        """The cursor again; raises UserError where it is not one that this subscription was given."""
        if not text:
            return cls()
        try:
            whole = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            raw = whole[_MARK:]
            if not hmac.compare_digest(whole[:_MARK], _mark(key, raw)):
                raise ValueError
            return cls(*json.loads(raw))
        except (ValueError, TypeError) as error:
            raise UserError("游标无效，请使用上一次返回的 X-Next-Cursor") from error


_MARK = 16
"""Bytes of the seal before a cursor's text."""


def _mark(key: str, raw: bytes) -> bytes:
    return hmac.digest(f"cursor:{key}".encode(), raw, "sha256")[:_MARK]


@dataclass(frozen=True)
class Page:
    """One answer: JSON lines, the cursor to come back with, whether more waits, whether all is anew."""

    body: bytes
    cursor: str
    more: bool
    full: bool
    rows: int


def pull(*, client: services.Client, cursor: str, limit: int) -> Page:
    """The next page for a credential. Raises Denied without a right in force, UserError otherwise.

    Asking again with the same cursor gives the same page; the first page of a change puts it on
    record, and the cursor after its last page, when it is shown, counts it as taken.
    """
    row = queries.pull_of(client)
    if row is None or not row.grant.in_force() or not queries.allows(row.grant, "feed"):
        raise Denied("该凭证没有有效的批量交换授权")
    if row.paused:
        raise UserError("该订阅已暂停")
    if not 1 <= limit <= rules.PAGE:
        raise UserError(f"limit 应在 1 至 {rules.PAGE} 之间")
    salt = queries.salt_of(row)
    at = Cursor.of(cursor, salt)
    services.use_call(row.grant)
    if at.since and not at.offset and not at.upto:
        _taken_up_to(row, at.since)
    told = queries.portion_of(SYSTEM, row.grant, salt)
    since = "" if row.anew and not at.offset else at.since
    try:
        with adapters.taking(told, since, at.upto, shape=at.shape) as taken:
            if taken is None:
                up_to_date(row, at.since, at.shape)
                return Page(b"", cursor, False, False, 0)
            if not taken.full and not taken.upserts and not taken.deletes:
                up_to_date(row, taken.upto, taken.shape)
                return Page(b"", Cursor(taken.upto, "", taken.shape).text(salt), True, False, 0)
            here = (taken.since, taken.upto, taken.shape)
            offset = at.offset if here == (at.since, at.upto, at.shape) else 0
            with transaction.atomic():
                locked = Subscription.objects.select_for_update(of=("self",)).get(pk=row.pk)
                open_one = locked.deliveries.filter(finished_at=None).first()
                if open_one is None or here != (open_one.since, open_one.upto, open_one.shape):
                    open_one = begin(row=row, open_one=open_one, taken=taken, by=SYSTEM)
            if not open_one.recorded:
                note_record(row, open_one, taken, taken.persons())
            rows = _rows(taken, limit, offset)
            total = taken.upserts + taken.deletes
            end = offset + len(rows) >= total
            nxt = (
                Cursor(taken.upto, "", taken.shape)
                if end
                else Cursor(taken.since, taken.upto, taken.shape, offset + len(rows))
            )
            body = b"".join(
                adapters.lines(
                    [{k: v for k, v in r.items() if k != OPERATION}], taken.keys, r[OPERATION]
                )
                for r in rows
            )
            return Page(body, nxt.text(salt), not end, taken.full and offset == 0, len(rows))
    except LakeError as error:
        raise UserError(str(error)) from error


def _rows(taken: adapters.Taken, limit: int, offset: int) -> list[dict[str, Any]]:
    """One page: deletions first, then rows, each in the order of its key."""
    listed = ", ".join(quote(c.name) for c in taken.columns)
    order = ", ".join(quote(k) for k in taken.keys)
    sql = f"SELECT 'upsert' AS {OPERATION}, {listed} FROM ({taken.rows})"
    if taken.deletes:
        gone = ", ".join(
            quote(c.name) if c.key else f"CAST(NULL AS {c.kind}) AS {quote(c.name)}"
            for c in taken.columns
        )
        sql = f"SELECT 'delete' AS {OPERATION}, {gone} FROM ({taken.gone}) UNION ALL {sql}"
    page = f"SELECT * FROM ({sql}) ORDER BY {OPERATION}, {order} LIMIT {limit} OFFSET {offset}"
    return [r for batch in taken.batches(page) for r in batch.to_pylist()]


def _taken_up_to(row: Subscription, position: str) -> None:
    """The puller shows the cursor after a change: it has it."""
    open_one = row.deliveries.filter(finished_at=None, upto=position).first()
    if open_one is not None:
        settle(delivery=open_one, receipt=None, by=SYSTEM)
        row.refresh_from_db()
    elif row.position != position or row.taken_at is None:
        Subscription.objects.filter(pk=row.pk).update(position=position, taken_at=timezone.now())
