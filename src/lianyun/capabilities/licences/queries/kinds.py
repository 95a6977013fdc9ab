"""Kinds: the types of licences that packs declare or that were published in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from lianyun.capabilities.editions import api as editions
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.element import domain_choices
from lianyun.kernel.party import Party, department

from ..rules import types

KIND = "licences"


@cache
def _elements() -> dict[str, Mapping[str, Any]]:
    return {e["code"]: e for e in packs.lists("elements.yaml")}


@cache
def declared() -> dict[str, types.LicenceType]:
    """All types of packs by name; raises rules.types.BadType."""
    found = [types.read(d.data, _elements()) for d in packs.declarations("licences")]
    codes = [(k.issuer, k.serial) for k in found]
    if len(set(codes)) != len(codes):
        raise types.BadType("同一颁发机构的两个证照类型用了同一个序号")
    return {k.name: k for k in sorted(found, key=lambda k: (k.issuer, k.serial))}


def kinds() -> dict[str, types.LicenceType]:
    """All types by name; one statement."""
    more = {e.code: _published(e) for e in editions.newest(KIND)}
    return {**more, **declared()} if more else declared()


def find_kind(name: str) -> types.LicenceType | None:
    """The type of this name, or None; asks the database only where no pack declares it."""
    if name in declared():
        return declared()[name]
    found = editions.find(KIND, name)
    return _published(found) if found is not None else None


def _published(edition: editions.Edition) -> types.LicenceType:
    """The type of an edition, read once in this process."""
    key = (edition.code, edition.digest)
    if key not in _READ:
        if len(_READ) > 500:
            _READ.clear()
        _READ[key] = types.read(edition.content, _elements())
    return _READ[key]


_READ: dict[tuple[str, str], types.LicenceType] = {}


def read(data: Mapping[str, Any]) -> types.LicenceType:
    """A type from its declaration, wherever it comes from; raises rules.types.BadType."""
    return types.read(data, _elements())


def faults_of(data: Mapping[str, Any]) -> list[str]:
    """Everything wrong with one declaration, as Chinese lines, with what it may not change or share."""
    try:
        one = read(data)
    except (types.BadType, KeyError, TypeError, ValueError, AttributeError) as wrong:
        return [str(wrong).partition("：")[2] or str(wrong)]
    out = []
    if one.name in declared():
        out.append("这一名称由行业包声明，请换一个名称")
    twin = next(
        (k for k in kinds().values() if k.name != one.name and (k.issuer, k.serial) == (one.issuer, one.serial)),
        None,
    )  # fmt: skip
    if twin is not None:
        out.append(f"序号 {one.serial} 已由“{twin.title}”使用")
    lists = {name for name, _ in packs.code_files()}
    out += [
        f"要素“{i.title}”的代码表 {i.domain} 不存在"
        for i in one.items
        if i.domain and i.domain not in lists
    ]
    before = find_kind(one.name)
    if before is not None:
        gone = [i.title for i in before.items if i.name not in one.names]
        if gone:
            out.append(f"已经签发的证照有要素{'、'.join(gone)}，新版本不能去掉")
        if (before.issuer, before.serial) != (one.issuer, one.serial):
            out.append("发证部门和序号发布后不能改，否则证照类型代码就变了")
    return out


def kind(name: str) -> types.LicenceType:
    """The type of this name; raises UserError."""
    found = find_kind(name)
    if found is None:
        raise UserError(f"没有证照类型“{name}”")
    return found


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


__all__ = [
    "declared",
    "faults_of",
    "find_kind",
    "issued_by",
    "issuer_of",
    "kind",
    "kinds",
    "read",
    "spoken",
    "strange_codes",
]
