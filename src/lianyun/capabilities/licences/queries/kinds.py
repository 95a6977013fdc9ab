"""Kinds: the types of licences that packs declare."""

from __future__ import annotations

from functools import cache

from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import domain_choices
from lianyun.kernel.party import Party, department

from ..rules import types


@cache
def kinds() -> dict[str, types.LicenceType]:
    """All declared types by name; raises rules.types.BadType."""
    elements = {e["code"]: e for e in packs.lists("elements.yaml")}
    found = [types.read(d.data, elements) for d in packs.declarations("licences")]
    codes = [(k.issuer, k.serial) for k in found]
    if len(set(codes)) != len(codes):
        raise types.BadType("同一颁发机构的两个证照类型用了同一个序号")
    return {k.name: k for k in sorted(found, key=lambda k: (k.issuer, k.serial))}


def kind(name: str) -> types.LicenceType:
    """The type of this name; raises UserError."""
    try:
        return kinds()[name]
    except KeyError:
        raise UserError(f"没有证照类型“{name}”") from None


def issuer_of(one: types.LicenceType) -> Party:
    """The department that issues licences of this type."""
    return department(one.issuer)


def issued_by(viewer: Actor, permission: str) -> dict[str, types.LicenceType]:
    """The types for whose issuing department the viewer holds this permission."""
    scope = viewer.departments(permission)
    if scope is None:
        return kinds()
    slugs = set(Party.objects.filter(pk__in=scope).values_list("slug", flat=True))
    return {n: k for n, k in kinds().items() if k.issuer in slugs}


def spoken(one: types.LicenceType, elements: dict[str, str]) -> dict[str, str]:
    """The elements in words: codes by their names, dates as 2026年11月22日."""
    out = {}
    for item in one.items:
        value = elements.get(item.name, "")
        if not value:
            continue
        if item.domain:
            value = dict(domain_choices(item.domain)).get(value, value)
        elif item.type == "D" and (day := types.date_of(value)):
            value = types.sentence(day)
        out[item.name] = value
    return out


def strange_codes(one: types.LicenceType, elements: dict[str, str]) -> list[str]:
    """The elements whose code stands in no code list, as faults in Chinese."""
    return [
        f"“{i.title}”的代码不在代码表中"
        for i in one.items
        if i.domain
        and elements.get(i.name)
        and (known := dict(domain_choices(i.domain)))
        and elements[i.name] not in known
    ]


__all__ = ["issued_by", "issuer_of", "kind", "kinds", "spoken", "strange_codes"]
