"""Spec: a dataset as the lake wants it: items, checks, rules, key, contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.kernel.models import Code, CodeList, Element, Resource
from lianyun.lake import land, merge
from lianyun.lake.check import DomainCode, ItemCheck, RowRule
from lianyun.lake.infer import ascii_name

from .. import rules

if TYPE_CHECKING:
    pass


REGIONS = "divisions"
PROVINCES = [
    "11",
    "12",
    "13",
    "14",
    "15",
    "21",
    "22",
    "23",
    "31",
    "32",
    "33",
    "34",
    "35",
    "36",
    "37",
    "41",
    "42",
    "43",
    "44",
    "45",
    "46",
    "50",
    "51",
    "52",
    "53",
    "54",
    "61",
    "62",
    "63",
    "64",
    "65",
    "71",
    "81",
    "82",
    "83",
    "91",
]
"""The first two digits a citizen number may have (GB/T 2260; 83 台湾居民, 91 外国人)."""


def dataset(name: str) -> Resource:
    """The dataset with this identifier or resource code; raises UserError where there is none."""
    rows = Resource.objects.filter(kind=Resource.DATASET).select_related("owner")
    found = rows.filter(Q(name=name) | Q(code=name)).first()
    if found is None:
        found = rows.filter(name=rules.table_name(ascii_name(name))).first()
    if found is None:
        raise UserError(f"没有名为“{name}”的数据集，请先在目录中编制，或用 infer --register 登记")
    return found


def domain_codes(name: str) -> tuple[DomainCode, ...]:
    """All codes of a list with their days; retired ones too, for old rows carry them."""
    return tuple(
        DomainCode(code, title, begin, end)
        for code, title, begin, end in Code.objects.filter(list__name=name)
        .order_by("code", "valid_from")
        .values_list("code", "name", "valid_from", "valid_to")
    )


def checks_of(items: Sequence[dict[str, Any]]) -> list[ItemCheck]:
    """Every item's check from its data element, or from its own type and format."""
    elements = elements_of(items)
    titles = dict(CodeList.objects.values_list("name", "title"))
    made = []
    for item in items:
        element = elements.get(item.get("element") or "")
        kind = item.get("type") or (element.type if element else "C")
        form = item.get("format") or (element.format if element else None)
        check = item.get("check") or (element.check_kind if element else "") or None
        domain = item.get("domain") or (element.domain if element else "") or None
        if check == "region" and not domain:
            domain = REGIONS
        made.append(
            ItemCheck(
                name=item["name"],
                title=item.get("title") or item["name"],
                type=kind,
                format=form,
                required=bool(item.get("required")),
                domain=domain_codes(domain) if domain in titles else None,
                domain_name=titles.get(domain or "", ""),
                domain_on=item.get("domain_on") or None,
                check=check,
                aliases=_aliases(item, element),
            )
        )
    return made


def _aliases(item: dict[str, Any], element: Element | None) -> tuple[str, ...]:
    listed = [str(a) for a in item.get("aliases") or ()]
    if element is not None:
        listed += [element.title, element.code]
    return tuple(dict.fromkeys(listed))


def _province_rules(items: Sequence[ItemCheck]) -> Iterator[RowRule]:
    """A citizen number begins with a province: county codes retire, provinces do not."""
    listed = ", ".join(f"'{p}'" for p in PROVINCES)
    for item in items:
        if item.check == "citizen_number":
            yield RowRule(
                f"{item.name}.province",
                f"{item.title}：前两位不是省级行政区划代码",
                f"{item.name} IS NULL OR length({item.name}) <> 18 "
                f"OR left({item.name}, 2) IN ({listed})",
            )


_OWN = ("aliases", "domain", "domain_on", "check", "mask")
"""What a pack may say of an item beyond what the catalogue keeps."""


def content(resource: Resource) -> dict[str, Any]:
    """What the catalogue and the packs say of a dataset: items, key, contract, rules, cycle."""
    declared = next(
        (d.data for d in packs.declarations("datasets") if d.name == resource.name), None
    )
    if not hasattr(resource, "entry"):
        return {**(declared or {}), **resource.data}
    told = catalogue.dataset_spec(resource)
    if declared is None:
        return told
    more = {i["name"]: {k: i[k] for k in _OWN if i.get(k)} for i in declared.get("items") or ()}
    told["items"] = [{**i, **more.get(i["name"], {})} for i in told["items"]]
    for name in ("rules", "key", "contract"):
        told[name] = told.get(name) or declared.get(name)
    return told


def dataset_spec(resource: Resource, watermark: str = "") -> merge.DatasetSpec:
    """The dataset as the lake checks and merges it; `watermark` is a source column that grows.

    Raises UserError where the catalogue has no items for it.
    """
    told = content(resource)
    items = list(told.get("items") or ())
    if not items:
        raise UserError(f"“{resource.title}”还没有编制信息项，请先在目录中补充数据项再归集")
    checks = checks_of(items)
    rules_ = [
        RowRule(r["code"], r["title"], r["sql"], r.get("severity", "reject"))
        for r in told.get("rules") or ()
    ]
    key = tuple(told.get("key") or ()) or tuple(i["name"] for i in items if i.get("key"))
    mark = land.match_columns([watermark], checks).get(0) if watermark else None
    return merge.DatasetSpec(
        name=resource.name,
        items=tuple(checks),
        key=key,
        contract=str(told.get("contract") or "evolve"),
        rules=(*_province_rules(checks), *rules_),
        watermark=mark,
    )


def rule_titles(resource: Resource) -> dict[str, str]:
    """The Chinese title of every check and rule code that a batch of this dataset may count."""
    told = content(resource)
    titles = {
        "row.unreadable": "无法解析的行",
        "row.empty": "整行为空",
        "row.contract": "出现未登记的列",
        "row.duplicate_key": "主键重复且内容不一致",
    }
    for item in told.get("items") or ():
        for kind, words in CHECK_TITLES.items():
            titles[f"{item['name']}.{kind}"] = f"{item.get('title') or item['name']}：{words}"
    titles.update({r["code"]: r["title"] for r in told.get("rules") or ()})
    return titles


CHECK_TITLES: dict[str, str] = {
    "required": "必填项缺失",
    "length": "长度不符",
    "format": "格式不符",
    "type": "类型不符",
    "domain": "不在值域内",
    "birth_date": "号码中的出生日期无效",
    "region": "行政区划无效",
    "province": "前两位不是省级代码",
    "check_digit": "校验位错误",
    "legacy": "旧号码",
}


def elements_of(items: Sequence[dict[str, Any]]) -> dict[str, Element]:
    """The data elements that items refer to, by code."""
    wanted = {i["element"] for i in items if i.get("element")}
    return {e.code: e for e in Element.objects.filter(code__in=wanted)}
