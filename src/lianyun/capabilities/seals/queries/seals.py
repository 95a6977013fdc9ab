"""Seals: what a viewer sees of seals, of their uses and of their cases."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Grant, Party, WorkItem
from lianyun.trust import drawing

from .. import rules
from ..models import Seal, Use
from .authority import seal_of_serial

PATH = "seal_request"


def _own(viewer: Actor, prefix: str = "") -> Q:
    """A seal whose holder the viewer is, or of a department for which he may read."""
    own = Q(**{f"{prefix}grant__grantee": viewer.party}) if viewer.party else Q(pk=None)
    if not viewer.may("seals.read"):
        return own
    scope = viewer.departments("seals.read")
    return Q() if scope is None else own | Q(**{f"{prefix}department_id__in": scope})


def seals(viewer: Actor) -> QuerySet[Seal]:
    """Seals that the viewer may see, with how often and when they were last used."""
    return (
        Seal.objects.filter(_own(viewer))
        .select_related("grant__grantee", "department", "keeper")
        .annotate(times=Count("uses"), last=Max("uses__at"))
    )


def seal(viewer: Actor, code: str) -> Seal | None:
    """One of `seals`, with its keys."""
    return seals(viewer).prefetch_related("keys__issuer").filter(grant__code=code).first()


def mine(viewer: Actor) -> QuerySet[Seal]:
    """The viewer's personal seals."""
    if viewer.party is None:
        return Seal.objects.none()
    return seals(viewer).filter(kind=rules.PERSONAL, grant__grantee=viewer.party)


def usable(viewer: Actor) -> QuerySet[Seal]:
    """Seals that the viewer may set himself now."""
    own = Q(kind=rules.PERSONAL, grant__grantee=viewer.party) if viewer.party else Q(pk=None)
    scope = viewer.departments("seals.use")
    organ = Q(kind=rules.ORGAN)
    if scope is not None:
        organ &= Q(department_id__in=scope)
    return (
        Seal.objects.filter(own | organ, grant__state=Grant.ACTIVE)
        .select_related("grant", "department")
        .order_by("department_id", "pk")
    )


def uses(viewer: Actor, seal: Seal | None = None) -> QuerySet[Use]:
    """The ledger of uses, of one seal or of all that the viewer may see."""
    rows = Use.objects.select_related("seal__grant", "seal__department", "by", "key")
    return rows.filter(seal=seal) if seal is not None else rows.filter(_own(viewer, "seal__"))


def case(viewer: Actor, code: str) -> Case | None:
    """A seal's case: its applicant's, and the bureau's."""
    found = (
        Case.objects.filter(path__key=PATH, code=code)
        .select_related("path", "applicant")
        .prefetch_related("items__department", "items__by")
        .first()
    )
    if found is None or not viewer.may("seals.read", found.applicant):
        return None
    return found


def open_cases(viewer: Actor) -> QuerySet[Case]:
    """Applications under way: one's own department's, or all for the bureau."""
    rows = Case.objects.filter(path__key=PATH, state=Case.OPEN).select_related("applicant")
    scope = viewer.departments("seals.read")
    return rows if scope is None else rows.filter(applicant_id__in=scope)


def item(viewer: Actor, number: int) -> WorkItem | None:
    """A work item of a case that the viewer may see."""
    found = WorkItem.objects.filter(pk=number).select_related("case__path", "department").first()
    return found if found and case(viewer, found.case.code) else None


def hands(viewer: Actor, found: Case) -> dict[str, str]:
    """Who did what of an application up to now: the step in words, by the person's ref."""
    asked = Party.objects.filter(pk=found.data["keeper"]).first()
    out = {asked.ref: "申请"} if asked is not None else {}
    for item in found.items.exclude(done_at=None).select_related("by"):
        if item.by is not None:
            out[item.by.ref] = rules.HANDS.get(item.step, item.title)
    return out


def seal_of_case(viewer: Actor, found: Case) -> Seal | None:
    """The seal that an application ended in."""
    return seals(viewer).filter(case=found).first()


def officers(viewer: Actor) -> list[Party]:
    """People of the viewer's department, for whom a personal seal may be asked."""
    if viewer.department is None:
        return []
    rows = Party.objects.filter(memberships__department=viewer.department, active=True)
    return list(rows.distinct().order_by("name")[:200])


def picture(seal: Seal) -> str:
    """A seal's picture as SVG."""
    return drawing.from_path(seal.size, seal.path).svg(seal.title)


def picture_of(viewer: Actor, serial: int | None) -> str:
    """The picture of the seal whose certificate this is; empty for a foreign one."""
    found = seal_of_serial(viewer, serial) if serial is not None else None
    return picture(found) if found else ""


def draft(data: dict[str, Any]) -> str:
    """What an application's seal would look like, SVG."""
    try:
        if data["kind"] == rules.PERSONAL:
            return drawing.personal(data["name"]).svg(data["title"])
        return drawing.official(data["name"], data["below"]).svg(data["title"])
    except drawing.NoGlyph:
        return ""


def figures(viewer: Actor) -> dict[str, int]:
    """How many seals are held, lost, stopped, and how many uses the viewer may see."""
    rows = Seal.objects.filter(_own(viewer)).values_list("grant__state").annotate(n=Count("pk"))
    counted = dict(rows)
    return {
        "held": counted.get(Grant.ACTIVE, 0),
        "lost": counted.get(Grant.SUSPENDED, 0),
        "stopped": counted.get(Grant.REVOKED, 0),
        "uses": uses(viewer).count(),
    }


__all__ = [
    "case",
    "draft",
    "figures",
    "hands",
    "item",
    "mine",
    "officers",
    "open_cases",
    "picture",
    "picture_of",
    "seal",
    "seal_of_case",
    "seals",
    "usable",
    "uses",
]
