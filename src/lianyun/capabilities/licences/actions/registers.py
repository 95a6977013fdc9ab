"""Registers: licences issued in bulk from a department's own rows; run again it gives what is new."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity import api as identity
from lianyun.kernel import rows
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many
from lianyun.kernel.models import Grant, Party

from ..adapters import registers, values
from ..models import Licence, Run
from ..queries import kinds
from ..rules import identifier as identifiers
from ..rules import types
from .issuing import GRANT, _hold, change_licence, columns, moment, new_serial, once_of

_GRANT = (
    "id", "code", "kind", "grantor_id", "grantee_id", "terms", "once", "valid_from", "valid_to",
)  # fmt: skip
_CELLS = (
    "kind", "identifier", "number", "holder_hash", "sealed", "check_code", "trust", "source",
    "issued_on", "begins_on", "ends_on", "whole", "faults",
)  # fmt: skip


def issue_from_register(kind: str, *, by: Actor, tell: Callable[[int], None] | None = None) -> Run:
    """Issue a licence for every row of the type's register that has none yet; change what changed.

    A thousand rows are one transaction: a run that dies leaves whole portions, and the next run
    gives the rest. Two runs of one type take turns. Rows that may not be issued are counted by
    reason. Raises Denied, and UserError where the type has no register.
    """
    one = kinds.kind(kind)
    issuer = kinds.issuer_of(one)
    by.require("licences.issue", issuer)
    if one.register is None:
        raise UserError(f"{one.title}没有登记簿，请逐件签发")
    run = _begin(one, issuer, by=by)
    reasons: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for part in registers.rows(one):
        _portion(run, one, issuer, part, reasons, seen, by=by)
        if tell:
            tell(run.rows)
    return _finish(run, one, dict(reasons), seen, by=by)


@action("licences.issue")
def _begin(one: types.LicenceType, issuer: Party, *, by: Actor) -> Run:
    assert one.register is not None
    run = Run.objects.create(
        kind=one.name, dataset=one.register.dataset, department=issuer, by_name=by.name
    )
    record("licence_run.begun", run, by=by, data={"kind": one.name})
    return run


@action("licences.issue")
def _finish(
    run: Run,
    one: types.LicenceType,
    reasons: dict[str, int],
    seen: set[tuple[str, str]],
    *,
    by: Actor,
) -> Run:
    run.reasons = reasons
    run.left = _left(one, seen) if seen else 0
    run.ended_at = timezone.now()
    run.save()
    told = {n: getattr(run, n) for n in ("kind", "rows", "issued", "known", "refused", "left")}
    record("licence_run.finished", run, by=by, data=told)
    return run


def _left(one: types.LicenceType, seen: set[tuple[str, str]]) -> int:
    """Mark licences whose registration is no longer there, unmark those that came back; how many.

    A mark ends nothing: an officer looks and ends, with a reason (`end_left`).
    """
    assert one.register is not None
    today = timezone.localdate()
    known = {(number, audit.keyed_hash(holder)) for number, holder in seen}
    gone, back = [], []
    rows = Licence.objects.filter(
        kind=one.name, ending="", source__startswith=f"{one.register.dataset}#"
    ).values_list("pk", "number", "holder_hash", "left_on")
    marked = 0
    for pk, number, holder, left_on in rows.iterator(chunk_size=5000):
        if (number, holder) in known:
            back += [pk] if left_on else []
        else:
            marked += 1
            gone += [] if left_on else [pk]
    Licence.objects.filter(pk__in=gone).update(left_on=today)
    Licence.objects.filter(pk__in=back).update(left_on=None)
    return marked


def _fingerprint(told: dict[str, str]) -> str:
    text = json.dumps(told, ensure_ascii=False, sort_keys=True)
    # Keyed: a plain digest of few possible values would tell them.
    return audit.keyed_hash(f"licence-row:{hashlib.sha256(text.encode()).hexdigest()}")


def _portion(
    run: Run,
    one: types.LicenceType,
    issuer: Party,
    lines: list[dict[str, Any]],
    reasons: Counter[str],
    seen: set[tuple[str, str]],
    *,
    by: Actor,
) -> None:
    assert one.register is not None
    today = timezone.localdate()
    good: dict[str, dict[str, str]] = {}
    refused = doubled = 0
    for line in lines:
        told = types.cleaned(one, line)
        seen.add((told.get(one.number, ""), told.get(one.holder_number, "")))
        if wrong := values.faults(one, told, today):
            refused += 1
            reasons.update(wrong)
            continue
        word = once_of(one.name, f"{told[one.number]}|{told[one.holder_number]}")
        doubled += word in good
        good[word] = told
    with transaction.atomic():
        _hold(f"licences:{one.name}")
        known = {
            str(held.grant.once): held
            for held in Licence.objects.filter(grant__once__in=list(good)).select_related("grant")
        }
        fresh = {word: told for word, told in good.items() if word not in known}
        issued = _issue(one, issuer, fresh, by=by)
        for key, held in known.items():
            told = good[key]
            mark = f"{one.register.dataset}#{_fingerprint(told)}"
            newest = held
            while newest.ending == Licence.REPLACED:
                newest = newest.replaced_by
            if newest.ending or newest.source == mark or newest.grant.state != Grant.ACTIVE:
                continue
            if not newest.source.startswith(f"{one.register.dataset}#"):
                continue  # issued here by hand: the register follows it, not the other way
            change_licence(newest, told, why="登记簿内容变更", by=by, source=mark)
            issued += 1
        run.rows += len(lines)
        run.refused += refused
        run.issued += issued
        run.known += len(lines) - refused - issued
        run.save()


def _issue(
    one: types.LicenceType, issuer: Party, fresh: dict[str, dict[str, str]], *, by: Actor
) -> int:
    """Grants, licences and events of new rows, each in one statement."""
    if not fresh:
        return 0
    assert one.register is not None
    today, code = timezone.localdate(), str(issuer.code)
    holders = identity.parties_of(
        [(told[one.holder_number], told.get(one.holder_name, "")) for told in fresh.values()],
        by=by,
    )
    terms = json.dumps({"type": one.name, "title": one.title}, ensure_ascii=False)
    numbers = rows.numbers(Grant, len(fresh))
    given, made, subjects = [], [], []
    for pk, (word, told) in zip(numbers, fresh.items(), strict=True):
        number = str(identifiers.make(one.code(code), code, new_serial()))
        cells = columns(
            one, number, told, one.trust, f"{one.register.dataset}#{_fingerprint(told)}", today
        )
        begins, ends = moment(cells["begins_on"]), cells["ends_on"]
        holder = holders[told[one.holder_number].strip().upper()].pk
        until = moment(types.next_day(ends)) if ends else None
        given.append((pk, number, GRANT, issuer.pk, holder, terms, word, begins, until))
        cells["faults"] = json.dumps(cells["faults"], ensure_ascii=False)
        made.append((pk, *(cells[name] for name in _CELLS)))
        subjects.append((f"licence:{number}", {"kind": one.name, "trust": one.trust}))
    rows.pour(Grant, _GRANT, given)
    rows.pour(Licence, ("grant_id", *_CELLS), made)
    record_many("licence.registered", subjects, by=by)
    return len(made)


__all__ = ["issue_from_register"]
