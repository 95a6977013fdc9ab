"""System: what the data bureau reads of registered systems and of departments' directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.kernel.event import Event, timeline
from lianyun.kernel.models import Party
from lianyun.kernel.rows import together

from .. import rules
from ..models import Admission, ClientSystem, Consent, Directory, Member

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def client(client_id: str | None, viewer: Actor = ANONYMOUS) -> ClientSystem | None:
    """The open system of this name: everybody may know that it is one."""
    if not client_id or not (client_id.isascii() and client_id.isalnum()):
        return None
    found = together(
        ((ClientSystem, "s"), (Party, "p"), (Party, "d")),
        "FROM login_clientsystem s JOIN kernel_party p ON p.id = s.party_id"
        " JOIN kernel_party d ON d.id = s.department_id"
        " WHERE s.client_id = %s AND s.closed_at IS NULL",
        [client_id[:40]],
    )
    if not found:
        return None
    one: ClientSystem = found[0][0]
    one.party, one.department = found[0][1:]
    return one


def systems(viewer: Actor) -> models.QuerySet[ClientSystem]:
    """All registered systems, for those who manage them."""
    viewer.require("login.manage")
    return ClientSystem.objects.select_related("party", "department").order_by("-id")


def system(viewer: Actor, client_id: str) -> ClientSystem:
    """One registered system; raises UserError."""
    found = systems(viewer).filter(client_id=client_id).first()
    if found is None:
        raise UserError("没有这个系统")
    return found


def system_figures(viewer: Actor, row: ClientSystem) -> dict[str, int]:
    """How many people let a system know them, and how many are in it now."""
    viewer.require("login.manage")
    now = timezone.now()
    return {
        "consents": Consent.objects.filter(system=row, withdrawn_at=None).count(),
        "inside": Admission.objects.filter(system=row, ended_at=None, until__gt=now)
        .exclude(code_used_at=None)
        .values("party")
        .distinct()
        .count(),
        "entries": Admission.objects.filter(system=row).exclude(code_used_at=None).count(),
    }


def history(viewer: Actor, ref: str) -> models.QuerySet[Event]:
    """What happened to a system or directory, newest first, for those who manage them."""
    viewer.require("login.manage")
    return timeline(ref).exclude(kind__startswith="token.").order_by("-id")[:20]


def departments(viewer: Actor) -> models.QuerySet[Party]:
    """Departments for whose systems and directories the viewer answers."""
    viewer.require("login.manage")
    return Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("id")


def directories(viewer: Actor) -> models.QuerySet[Directory]:
    """Departments' directories with how many people each has brought."""
    viewer.require("login.manage")
    return (
        Directory.objects.select_related("department", "party")
        .annotate(
            people=models.Count("members"),
            here=models.Count("members", filter=models.Q(members__active=True)),
        )
        .order_by("department_id")
    )


def directory_of(viewer: Actor, slug: str) -> Directory:
    """The directory of a department; raises UserError."""
    found = directories(viewer).filter(department__slug=slug).first()
    if found is None:
        raise UserError("该部门没有开通人员目录同步")
    return found


def directory_of_token(token: str, viewer: Actor = ANONYMOUS) -> Directory | None:
    """The open directory whose token this is: the present one, or the former within the overlap.

    Whoever shows the token is the viewer.
    """
    digest = rules.digest(token)
    return (
        Directory.objects.select_related("department", "party")
        .filter(closed_at=None)
        .filter(
            models.Q(token_hash=digest)
            | models.Q(former_hash=digest, former_until__gt=timezone.now())
        )
        .first()
    )


def members(viewer: Actor, row: Directory) -> models.QuerySet[Member]:
    """The people whom a directory has brought: for the directory itself and for the bureau."""
    if viewer.party is None or viewer.party.pk != row.party_id:
        viewer.require("login.manage")
    return Member.objects.filter(directory=row).order_by("id")


__all__ = [
    "client",
    "departments",
    "directories",
    "directory_of",
    "directory_of_token",
    "history",
    "members",
    "system",
    "system_figures",
    "systems",
]
