"""Recording: everybody whom a parcel names is put on record before the rows that name them leave."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence

from django.db import connection

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor

from .. import adapters
from ..models import Delivery, Subscription


def note_record(
    row: Subscription,
    delivery: Delivery,
    taken: adapters.Taken,
    people: Iterable[str] | None = None,
) -> None:
    """The exchange goes on record before anything leaves, once for all attempts at it."""
    number = _note(row, taken, taken.persons() if people is None else people, _rows(taken))
    _recorded(delivery, number)


def _rows(taken: adapters.Taken) -> int:
    return taken.upserts + taken.deletes


def _recorded(delivery: Delivery, number: str) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(recorded=number[:40])


def _note(row: Subscription, taken: adapters.Taken, people: Iterable[str], rows: int) -> str:
    grant = row.grant
    assert grant.resource is not None
    asked = {"subscription": row.code, "since": taken.since, "upto": taken.upto}
    return audit.record_exchange(
        channel="delivery",
        grant_code=grant.code,
        resource=grant.resource.name,
        operation="feed",
        version=0,
        by=Actor(party=grant.grantee, department=grant.grantee),
        people=people,
        purpose=str(grant.terms.get("purpose") or ""),
        case_code=grant.case.code if grant.case else "",
        request=json.dumps(asked).encode(),
        rows=rows,
        micros=0,
        outcome="ok" if _rows(taken) else "empty",
    )


class Recording(contextlib.AbstractContextManager["Recording"]):
    """The record of a parcel as it grows, piece after piece, ahead of what leaves.

    A parcel of one piece is on record before it begins. Of a larger one the next piece's people are
    recorded while the one before is taken; what has begun is recorded to its end even if the
    receiver fails, so that a second attempt need not record it again.
    """

    def __init__(
        self,
        row: Subscription,
        delivery: Delivery | None,
        taken: adapters.Taken,
        people: Sequence[Iterable[str]],
    ) -> None:
        """`people` of each piece in order (see `of`); without a `delivery` nothing is to be recorded."""
        self._row, self._delivery, self._taken, self._people = row, delivery, taken, people
        self._done = [threading.Event() for _ in people]
        self._wrong: list[BaseException] = []
        self._thread: threading.Thread | None = None

    @staticmethod
    def of(taken: adapters.Taken) -> list[Iterator[str]]:
        """The people of a parcel's pieces, read now; all of them in one where there is only one."""
        return taken.persons_by_piece() if len(taken.pieces) > 1 else [taken.persons()]

    def __enter__(self) -> Recording:
        """Record what is one piece; begin with the first of several."""
        if self._delivery is None:
            return self
        if len(self._people) == 1:
            note_record(self._row, self._delivery, self._taken, self._people[0])
            self._done[0].set()
        else:
            self._thread = threading.Thread(target=self._work, name="delivery-record", daemon=True)
            self._thread.start()
        return self

    def _work(self) -> None:
        assert self._delivery is not None
        first, left = "", _rows(self._taken)
        try:
            for number, people in enumerate(self._people):
                piece = self._taken.pieces[number]
                last = number == len(self._people) - 1
                rows = left if last else min(left, piece.newcomers + piece.others)
                left -= rows
                noted = _note(self._row, self._taken, people, rows)
                first = first or noted
                if last:
                    _recorded(self._delivery, first)
                self._done[number].set()
        except BaseException as error:
            self._wrong.append(error)
        finally:
            connection.close()
            for done in self._done:
                done.set()

    def wait(self, number: int) -> None:
        """Until a piece may leave; raises what kept its people from being recorded."""
        if not self._done:
            return
        self._done[number].wait()
        if self._wrong:
            raise self._wrong[0]

    def __exit__(self, *_: object) -> None:
        """To the end, whatever became of the parcel."""
        if self._thread is not None:
            self._thread.join()


__all__ = ["Recording", "note_record"]
