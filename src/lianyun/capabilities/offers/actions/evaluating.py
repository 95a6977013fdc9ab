"""Evaluating: rules are asked of everybody who wants it, in bulk; what is kept is who, which rule, until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Event, Party

from .. import adapters, queries
from ..models import Choice, Offer, Rule, Tally
from ..rules import declared
from ..rules.facts import ENTITY, PERSON

RUN = "lianyun.run"
JOB = "lianyun.capabilities.offers.jobs.evaluate"
SETTLED_AT_ONCE = 5000
"""So many parties' offers are written in one transaction."""


def queue(subject: str, *, source: str = "", batch: str = "", codes: Sequence[str] = ()) -> bool:
    """Ask for an evaluation in the background; False where the very same waits already."""
    word = f"offers:{subject}:{source}:{batch}:{','.join(codes)}"
    task = app.configure_task(RUN, queue="jobs", queueing_lock=word, lock="offers")
    try:
        with transaction.atomic():
            task.defer(
                path=JOB,
                arguments={
                    "subject": subject,
                    "source": source,
                    "batch": batch,
                    "codes": list(codes),
                },
            )
    except exceptions.AlreadyEnqueued:
        return False
    return True


def on_library_built(event: Event) -> None:
    """A library changed: rules that read it are asked about those whose rows changed."""
    _changed(f"library.{event.data.get('resource', '')}", str(event.data.get("merging", "")))


def on_batch_finished(event: Event) -> None:
    """A register has new rows: rules that read it are asked about those whose rows are new."""
    name = str(event.data.get("resource", ""))
    batch = event.subject.partition(":")[2]
    _changed(f"trusted.{name}", batch)


def _changed(source: str, batch: str) -> None:
    for subject in (PERSON, ENTITY):
        sheet = queries.sheet_of(subject)
        rules = queries.speaking(SYSTEM, declared.OFFER, subject)
        if any(source in sheet.tables(d.facts) for _, d in rules):
            queue(subject, source=source, batch=batch)


def evaluate(
    *,
    subject: str,
    by: Actor,
    source: str = "",
    batch: str = "",
    codes: Collection[str] = (),
    parties: Sequence[int] | None = None,
) -> dict[str, int]:
    """Ask the rules in force of everybody who wants it, or of whom a batch of one source touched.

    `codes` narrows the rules, `parties` the audience. A rule whose right to read has ended is not
    asked. The readings are on record before an offer is written. Returns how many were read,
    offered and ended. Raises Denied, and UserError where the lake does not answer.
    """
    by.require("offers.run")
    sheet = queries.sheet_of(subject)
    found = [
        (r, d)
        for r, d in queries.speaking(by, declared.OFFER, subject)
        if (not codes or d.code in codes) and (not source or source in sheet.tables(d.facts))
    ]
    allowed = queries.may_read(by, (r for r, _ in found))
    found = [(r, d) for r, d in found if (r.code, r.version) in allowed]
    told = {"read": 0, "offered": 0, "ended": 0}
    people = queries.audience(by, subject, parties) if found else []
    if not people:
        return told
    asked = [d for _, d in found]
    fit = adapters.fitting(sheet, asked, people, timezone.localdate(), source=source, batch=batch)
    if not fit.read:
        return told
    numbers = [key for pk, key in people if pk in fit.read]
    note_reading(found, numbers if subject == PERSON else [], len(numbers))
    everybody = sorted(fit.read)
    for at in range(0, len(everybody), SETTLED_AT_ONCE):
        part = everybody[at : at + SETTLED_AT_ONCE]
        for key, number in _settle(
            subject=subject, rules=asked, read=part, fits=fit.fits, by=by
        ).items():
            told[key] += number
    told["read"] = len(everybody)
    return told


def note_reading(
    rules: Sequence[tuple[Rule, declared.Declared]], numbers: Sequence[str], rows: int
) -> None:
    """Record which sources were read for which rules, each person by keyed hash, under its grant."""
    hand = Actor(department=cases.bureau(), everything=True)
    by_source: dict[str, list[tuple[Rule, declared.Declared]]] = {}
    for rule, told in rules:
        for source in queries.sheet_of(told.subject).tables(told.facts):
            by_source.setdefault(source, []).append((rule, told))
    granted = {
        g.terms["source"]: g.code for rule, _ in rules for g in queries.granted(SYSTEM, rule)
    }
    for source, using in by_source.items():
        audit.record_reading(
            by=hand,
            resource=source.partition(".")[2],
            people=numbers,
            purpose="主动服务（自动比对，无人查看）：" + "、".join(d.title for _, d in using),
            grant_code=granted.get(source, ""),
            rows=rows,
        )


@action("offers.run")
def _settle(
    *,
    subject: str,
    rules: Sequence[declared.Declared],
    read: Sequence[int],
    fits: dict[str, frozenset[int]],
    by: Actor,
) -> dict[str, int]:
    """Write what a reading came to for these parties; whoever has switched off meanwhile is left out."""
    if subject == ENTITY:
        hit = set().union(*fits.values()) & set(read)
        Choice.objects.bulk_create(
            [Choice(party_id=pk, on=True) for pk in sorted(hit)], ignore_conflicts=True
        )
    # The rows of the switch are held, so that a switch pressed now waits for us and then deletes.
    wanted = set(
        Choice.objects.select_for_update()
        .filter(party_id__in=read, on=True)
        .values_list("party_id", flat=True)
    )
    today = timezone.localdate()
    told = {"offered": 0, "ended": 0}
    for rule in rules:
        now = fits[rule.code] & wanted
        held = {
            o.party_id: o for o in Offer.objects.filter(rule=rule.code, party_id__in=list(read))
        }
        old = [o.pk for o in held.values() if o.until < today]
        # What was dismissed or done stays until its day, so that nobody is told twice.
        gone = [
            o.pk
            for o in held.values()
            if o.pk not in old and o.party_id not in now and not (o.dismissed_at or o.filed_at)
        ]
        Offer.objects.filter(pk__in=[*old, *gone]).delete()
        kept = {p for p, o in held.items() if o.pk not in old}
        fresh = sorted(now - kept)
        until = today + dt.timedelta(days=rule.days)
        Offer.objects.bulk_create(
            [Offer(rule=rule.code, party_id=pk, until=until) for pk in fresh],
            ignore_conflicts=True,
            batch_size=2000,
        )
        if fresh:
            count(rule.code, "offered", len(fresh))
        told["offered"] += len(fresh)
        told["ended"] += len(gone)
    record(
        "offers.evaluated",
        "system:offers",
        by=by,
        data={"subject": subject, "read": len(read), "rules": [r.code for r in rules], **told},
    )
    return told


def count(rule: str, what: str, number: int = 1) -> None:
    """Add to a rule's numbers of this month; inside a caller's transaction."""
    month = timezone.localdate().replace(day=1)
    row, _ = Tally.objects.get_or_create(rule=rule, month=month)
    Tally.objects.filter(pk=row.pk).update(**{what: F(what) + number})


@action("offers.run")
def sweep(*, by: Actor) -> int:
    """Delete what has run out, and what belongs to rules that no longer speak."""
    live = [d.code for _, d in queries.speaking(by, declared.OFFER)]
    today = timezone.localdate()
    gone, _ = Offer.objects.filter(until__lt=today).delete()
    silent, _ = Offer.objects.exclude(rule__in=live).delete()
    ended = Choice.objects.filter(
        on=True, until__lt=timezone.now(), party__kind=Party.PERSON
    ).values_list("party_id", flat=True)
    lapsed, _ = Offer.objects.filter(party_id__in=list(ended)).delete()
    record("offers.swept", "system:offers", by=by, data={"count": gone + silent + lapsed})
    return gone + silent + lapsed


__all__ = [
    "count",
    "evaluate",
    "note_reading",
    "on_batch_finished",
    "on_library_built",
    "queue",
    "sweep",
]
