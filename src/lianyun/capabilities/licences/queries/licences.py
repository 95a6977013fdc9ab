"""Licences: those a department issued, those a person holds, one with its history."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable

from django.db import models
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Event, Grant, Party

from ..models import Document, Licence, Run, Showing
from ..rules import types
from . import kinds

SCOPE = "licences"
_WITH = ("grant", "grant__grantee", "grant__grantor")


def elements(licence: Licence) -> dict[str, str]:
    """A licence's elements in clear: for its file, its holder, and readings that are on record."""
    found: dict[str, str] = json.loads(audit.decrypt(licence.sealed, "licences.elements"))
    return found


def standing(licence: Licence) -> tuple[str, str, str]:
    """How a licence stands now: code, Chinese word, tone."""
    today = timezone.localdate()
    if licence.ending:
        return licence.ending, f"已{licence.get_ending_display()}".replace("已已", "已"), "red"
    if licence.grant.state == Grant.SUSPENDED:
        return "suspended", "已暂扣", "amber"
    if licence.grant.state == Grant.REVOKED:
        return Licence.REVOKED, "已吊销", "red"
    if licence.ends_on is not None and licence.ends_on < today:
        return "expired", "已过期", "red"
    if licence.begins_on > today:
        return "early", "尚未生效", "amber"
    return "valid", "有效", "green"


def issued(viewer: Actor) -> models.QuerySet[Licence]:
    """Licences of the departments for which the viewer may read them, newest first."""
    viewer.require("licences.read")
    rows = Licence.objects.select_related(*_WITH).order_by("-id")
    scope = viewer.departments("licences.read")
    return rows if scope is None else rows.filter(grant__grantor_id__in=scope)


def one(viewer: Actor, identifier: str) -> Licence:
    """One licence of a department whose licences the viewer may read; raises Denied."""
    found = issued(viewer).filter(identifier=identifier).first()
    if found is None:
        raise Denied("没有这本证照，或者它不是您所在部门颁发的")
    return found


def current(viewer: Actor, kind: str, holder: Party) -> Licence | None:
    """The newest version of a type that a party holds and that was not ended, an expired one included.

    For who issues or ends licences of the type; raises Denied.
    """
    issuer = kinds.issuer_of(kinds.kind(kind))
    if not any(viewer.may(p, issuer) for p in ("licences.review", "licences.end")):
        viewer.require("licences.issue", issuer)
    rows = Licence.objects.filter(kind=kind, grant__grantee=holder, ending="")
    return rows.select_related(*_WITH).order_by("-issued_on", "-id").first()


def numbered(viewer: Actor, kind: str, number: str) -> Licence | None:
    """The newest version of a type with this number that was not ended; who may see it as `current`."""
    issuer = kinds.issuer_of(kinds.kind(kind))
    if not any(viewer.may(p, issuer) for p in ("licences.review", "licences.end")):
        viewer.require("licences.issue", issuer)
    rows = Licence.objects.filter(kind=kind, number=number, ending="")
    return rows.select_related(*_WITH).order_by("-id").first()


def history(viewer: Actor, licence: Licence) -> list[Event]:
    """What happened to a licence and its earlier versions, newest first."""
    chain: list[Licence] = []
    row: Licence | None = licence
    while row is not None and len(chain) < 50:
        chain.append(row)
        row = row.replaces
    out: list[Event] = []
    for each in chain:
        out += list(timeline(each).order_by("-id")[:30])
    return out


def left(viewer: Actor) -> models.QuerySet[Licence]:
    """Licences in force whose registration is no longer in the department's register."""
    return issued(viewer).filter(ending="").exclude(left_on=None)


def left_by_kind(viewer: Actor) -> dict[str, int]:
    """How many of `left` there are of each type."""
    rows = left(viewer).order_by("kind").values_list("kind").annotate(n=models.Count("pk"))
    return dict(rows)


def without_file(viewer: Actor, kind: str, limit: int) -> list[Licence]:
    """Licences of a type in force of which no file was made yet, the oldest first."""
    viewer.require("licences.read", kinds.issuer_of(kinds.kind(kind)))
    made = Document.objects.filter(licence=models.OuterRef("pk"), copy=False)
    rows = (
        Licence.objects.filter(kind=kind, ending="", grant__state=Grant.ACTIVE)
        .filter(models.Q(ends_on=None) | models.Q(ends_on__gte=timezone.localdate()))
        .exclude(models.Exists(made))
    )
    return list(rows.select_related(*_WITH).order_by("pk")[:limit])


def runs(viewer: Actor) -> models.QuerySet[Run]:
    """Bulk issues of the viewer's departments, newest first."""
    viewer.require("licences.read")
    rows = Run.objects.select_related("department").order_by("-id")
    scope = viewer.departments("licences.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def relations(viewer: Actor) -> list[tuple[Party, str]]:
    """The viewer and those whose licences the viewer may show (children, firms), each with what the
    viewer is to them: 本人, 监护人, 法定代表人, 经办人."""
    if viewer.party is None:
        return []
    found = {viewer.party: "本人"}
    for agency in identity.agencies(viewer.party):
        if identity.may_act(viewer.party, agency.principal, SCOPE):
            found.setdefault(agency.principal, agency.get_kind_display())
    return list(found.items())


def principals(viewer: Actor) -> list[Party]:
    """Those of `relations`, without the words."""
    return [party for party, _ in relations(viewer)]


def _of(parties: Iterable[Party]) -> models.QuerySet[Licence]:
    return (
        Licence.objects.filter(grant__grantee__in=list(parties))
        .select_related(*_WITH)
        .order_by("grant__grantee_id", "-issued_on", "-id")
    )


def held(viewer: Actor, holder: Party | None = None) -> list[Licence]:
    """The licences in the viewer's wallet that were not replaced: own, and of those acted for.

    With `holder` only that party's; raises Denied where the viewer may not act for it.
    """
    if holder is None:
        parties = principals(viewer)
    elif identity.may_act(viewer, holder, SCOPE):
        parties = [holder]
    else:
        raise Denied("您不能查看他人的证照")
    return list(_of(parties).exclude(ending=Licence.REPLACED))


def check_own(viewer: Actor, licence: Licence) -> None:
    """Raises Denied where the viewer is neither the holder nor acts for the holder."""
    if not identity.may_act(viewer, licence.grant.grantee, SCOPE):
        raise Denied("您不能查看他人的证照")


def held_one(viewer: Actor, identifier: str) -> Licence:
    """One licence of the viewer's wallet; raises Denied, alike for others' and unknown ones."""
    found = _of(principals(viewer)).filter(identifier=identifier).first()
    if found is None:
        raise Denied("您的证照包里没有这本证照")
    return found


def copies(viewer: Actor, licence: Licence) -> list[Document]:
    """The purpose-bound copies made of a licence of the viewer's wallet."""
    held_one(viewer, licence.identifier)
    return list(licence.documents.filter(copy=True)[:50])


def document_of(viewer: Actor, digest: str) -> Document:
    """A file of a licence in the viewer's wallet, or of a licence that the viewer may read."""
    found = (
        Document.objects.filter(digest=digest)
        .select_related("licence__grant__grantee", "licence__grant__grantor")
        .first()
    )
    if found is not None:
        mine = found.licence.grant.grantee in principals(viewer)
        if mine or viewer.may("licences.reveal", found.licence.grant.grantor):
            return found
    raise Denied("没有这份文件，或者您不能查看")


def looks(viewer: Actor) -> list[Showing]:
    """Who asked for or looked at licences of the viewer's wallet, newest first."""
    rows = Showing.objects.filter(holder__in=principals(viewer)).exclude(
        asked_at=None, seen_at=None, way=Showing.SHOW
    )
    return list(
        rows.select_related("licence", "asker", "department", "holder").order_by("-id")[:60]
    )


def waiting(viewer: Actor) -> list[Showing]:
    """Showings that wait for the viewer's word now."""
    now = timezone.now()
    rows = Showing.objects.filter(
        holder__in=principals(viewer), answered_at=None, expires_at__gt=now
    ).exclude(asked_at=None)
    return list(rows.select_related("licence", "asker", "department"))


def showing_of(viewer: Actor, number: int) -> Showing:
    """A showing that the viewer asked for or is asked about; raises Denied."""
    found = (
        Showing.objects.filter(pk=number)
        .select_related("licence__grant__grantor", "asker", "department", "holder")
        .first()
    )
    if found is None or viewer.party is None:
        raise Denied("没有这次核验")
    if found.asker_id != viewer.party.pk and found.holder not in principals(viewer):
        raise Denied("没有这次核验")
    return found


def asked(viewer: Actor) -> models.QuerySet[Showing]:
    """What the viewer's departments asked for at their counters, newest first."""
    viewer.require("licences.verify")
    rows = Showing.objects.exclude(asked_at=None).select_related(
        "licence", "asker", "department", "holder"
    )
    scope = viewer.departments("licences.verify")
    if scope is None:
        # A window serves the whole city; its ledger is still its own department's.
        return rows.filter(department=viewer.department) if viewer.department else rows
    return rows.filter(department_id__in=scope)


def given(viewer: Actor, code: str) -> Showing | None:
    """A licence given by link that was not taken yet and has not expired; None for all others."""
    return (
        Showing.objects.filter(
            way=Showing.GIVE,
            code_hash=audit.keyed_hash(f"licence-code:{code}"),
            seen_at=None,
            expires_at__gt=timezone.now(),
        )
        .select_related("licence__grant__grantor", "holder")
        .first()
    )


def due(licences: list[Licence]) -> list[Licence]:
    """Those of these that end within the days that their types tell, the first to end first."""
    today = timezone.localdate()
    found = [
        row
        for row in licences
        if not row.ending
        and row.ends_on is not None
        and 0 <= (row.ends_on - today).days <= kinds.kind(row.kind).remind[0]
    ]
    return sorted(found, key=lambda row: (row.ends_on, row.pk))


def due_untold(viewer: Actor, kind: str, stage: int, limit: int) -> list[Licence]:
    """Licences of a type in force that end within `stage` days and whose holders were not told so yet.

    A licence whose whole life is no longer than the stage has none; one that left its register
    neither.
    """
    viewer.require("licences.issue", kinds.issuer_of(kinds.kind(kind)))
    today = timezone.localdate()
    days = dt.timedelta(days=stage)
    rows = Licence.objects.filter(
        kind=kind,
        ending="",
        left_on=None,
        grant__state=Grant.ACTIVE,
        ends_on__range=(today, today + days),
        ends_on__gt=models.F("begins_on") + days,
    ).filter(models.Q(due_told=None) | models.Q(due_told__gt=stage))
    return list(rows.select_related(*_WITH).order_by("pk")[:limit])


def wanted_pairs(licence: Licence, wanted: list[str]) -> list[tuple[str, str]]:
    """The asked elements in words: (title, value); proofs of age as yes or no."""
    kind = kinds.kind(licence.kind)
    told = elements(licence)
    spoken, proofs = kinds.spoken(kind, told), types.proofs(kind, told, timezone.localdate())
    names = wanted or list(kind.names)
    out = []
    for name in names:
        if name in types.PROOFS:
            if name in proofs:
                out.append((types.PROOFS[name], "是" if proofs[name] else "否"))
        elif name in spoken:
            out.append((kind.item(name).title, spoken[name]))
    return out


def choices(licence: Licence) -> list[tuple[str, str]]:
    """What can be shown of a licence: (name, title), proofs of age first."""
    kind = kinds.kind(licence.kind)
    told = elements(licence)
    proofs = [(n, types.PROOFS[n]) for n in types.proofs(kind, told, timezone.localdate())]
    return [*proofs, *((i.name, i.title) for i in kind.items if told.get(i.name))]


def check_choices(licence: Licence, wanted: list[str]) -> None:
    """Raises UserError where something is wanted that the licence does not hold."""
    if strange := set(wanted) - {n for n, _ in choices(licence)}:
        raise UserError(f"证照中没有这些内容：{'、'.join(sorted(strange))}")


__all__ = [
    "asked",
    "check_choices",
    "check_own",
    "choices",
    "copies",
    "current",
    "document_of",
    "due",
    "due_untold",
    "elements",
    "given",
    "held",
    "held_one",
    "history",
    "issued",
    "left",
    "left_by_kind",
    "looks",
    "numbered",
    "one",
    "principals",
    "relations",
    "runs",
    "showing_of",
    "standing",
    "waiting",
    "wanted_pairs",
    "without_file",
]
