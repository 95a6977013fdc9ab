"""Checks: what the parts of a service must say of each other, each finding with the place to go to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import content as parts
from .steps import every

ERROR, WARNING = "error", "warning"
Choices = tuple[tuple[str, str], ...]
_KINDS: Choices = (("person", "个人"), ("entity", "企业和其他组织"))
_ALWAYS: dict[str, tuple[str, str, Choices]] = {
    "applicant_age": ("申请人周岁", "number", ()),
    "applicant_kind": ("申请人类别", "choice", _KINDS),
    "materials_freed": ("免交材料数", "number", ()),
    "materials_uploaded": ("上传材料数", "number", ()),
    "helped": ("帮办代办", "boolean", ()),
    "promised_days": ("承诺时限（工作日）", "number", ()),
    "legal_days": ("法定时限", "number", ()),
    "item": ("事项的标识", "text", ()),
    "item_name": ("事项名称", "text", ()),
}
"""Facts that the hall puts into every case for tables and paths: name → title, kind, choices."""
_MET: Choices = (
    ("licence", "电子证照"), ("library", "共享数据"), ("service", "网络核验"), ("earlier", "前序已交"),
    ("forerun", "前面事项的结果"), ("promise", "告知承诺"), ("upload", "上传"),
)  # fmt: skip
"""How a material was met, as the hall records it."""
_OWN = {
    "name", "person_name", "citizen_number", "holder_name", "holder_number", "owner_name", "owner",
    "owner_number", "entity_name", "unit_name", "credit_code",
}  # fmt: skip
"""Columns that the hall compares with the applicant's own name or number."""
_FACT_KINDS = ("choice", "multi", "number", "money", "date", "moment", "text")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Finding:
    """One thing to put right: the page and place in it, the words, error or warning."""

    page: str
    place: str
    words: str
    severity: str = ERROR

    @property
    def wrong(self) -> bool:
        """Whether it keeps the service from being published."""
        return self.severity == ERROR


@dataclass(frozen=True)
class Question:
    """A question of the form as other parts look at it."""

    id: str
    title: str
    kind: str
    secret: bool = False
    required: bool = False
    options: Choices = ()


@dataclass(frozen=True)
class Element:
    """An element of the result's licence as other parts look at it."""

    name: str
    title: str
    required: bool


@dataclass(frozen=True)
class Licence:
    """The result's licence: its elements and those that are filled by themselves."""

    title: str
    elements: tuple[Element, ...]
    number: str
    holder: tuple[str, str]
    dates: tuple[str, str, str]
    numbered: bool
    holders: tuple[str, ...]


@dataclass(frozen=True)
class Around:
    """What the parts say, each read by its own capability; None where it cannot be read."""

    questions: tuple[Question, ...] | None
    repeated: frozenset[str]
    steps: tuple[Mapping[str, Any], ...] | None
    asked: tuple[tuple[str, str], ...] | None
    answers: tuple[str, ...]
    licence: Licence | None


@dataclass(frozen=True)
class Fact:
    """Something that a table or a condition may ask of a case."""

    name: str
    title: str
    kind: str = "text"
    choices: Choices = ()


def facts(item: Mapping[str, Any], around: Around) -> dict[str, str]:
    """What tables and conditions may ask of a case of this service: name → title."""
    return {f.name: f.title for f in told_facts(item, around)}


def told_facts(item: Mapping[str, Any], around: Around) -> list[Fact]:
    """What may be asked of a case of this service: the applicant's own answers first."""
    out: dict[str, Fact] = {}
    for asked in around.questions or ():
        if not asked.secret and asked.kind in _FACT_KINDS:
            kind = {"money": "number", "multi": "text", "moment": "text"}.get(
                asked.kind, asked.kind
            )
            kind = "text" if kind == "choice" and not asked.options else kind
            out[asked.id] = Fact(asked.id, asked.title, kind, asked.options)
    for situation in item.get("situations") or []:
        name = str(situation.get("id"))
        options = tuple(
            (str(o.get("id")), str(o.get("title") or o.get("id")))
            for o in situation.get("options") or []
        )
        out[name] = Fact(name, str(situation.get("question") or name), "choice", options)
    for material in item.get("materials") or []:
        name = str(material.get("id") or material.get("standard") or "")
        title = f"材料“{material.get('name') or name}”怎样满足"
        out[f"m_{name}"] = Fact(f"m_{name}", title, "choice", _MET)
    for name, (title, kind, choices) in _ALWAYS.items():
        out.setdefault(name, Fact(name, title, kind, choices))
    return list(out.values())


def between(content: Mapping[str, Any], around: Around) -> Iterator[Finding]:
    """Every finding that no part could make of itself."""
    item = content.get(parts.ITEM) or {}
    yield from _grounds(item, around)
    yield from _table(content, item, around)
    yield from _path(content, item, around)
    yield from _licence(content, item, around)
    yield from _names(item, around)


def _grounds(item: Mapping[str, Any], around: Around) -> Iterator[Finding]:
    if around.questions is None:
        return
    known = {q.id for q in around.questions} | _OWN
    for at, material in enumerate(item.get("materials") or []):
        for number, ground in enumerate(material.get("grounds") or []):
            for column, asked in (ground.get("match") or {}).items():
                if asked not in known:
                    yield Finding(
                        "materials",
                        f"materials.{at}.grounds.{number}.match",
                        f"材料“{material.get('name') or material.get('id')}”按 {column} 核验要用申请表的"
                        f"“{asked}”，而申请表没有这一题",
                    )


def _table(
    content: Mapping[str, Any], item: Mapping[str, Any], around: Around
) -> Iterator[Finding]:
    if around.asked is None or not content.get(parts.DECISION):
        return
    known = facts(item, around)
    secret = {q.id: q.title for q in around.questions or () if q.secret}
    for name, title in around.asked:
        if name in secret:
            yield Finding(
                "decision",
                "inputs",
                f"决策表的输入“{title}”用到个人信息“{secret[name]}”，办件数据里没有它",
            )
        elif name not in known and around.questions is not None:
            yield Finding(
                "decision",
                "inputs",
                f"决策表的输入“{title}”（{name}）既不是申请表的题目，也不是情形或材料，判定时总是空的",
            )
    if around.answers and "result" not in around.answers:
        yield Finding("decision", "outputs", "决策表要有名为 result 的输出，办理流程才能按结论走")
    elif not around.answers:
        return
    if around.steps is not None and not any(step.get("decide") for step in around.steps):
        yield Finding("path", "steps", "办理流程里没有决策表判定的环节，决策表不会被用到", WARNING)


def _path(content: Mapping[str, Any], item: Mapping[str, Any], around: Around) -> Iterator[Finding]:
    path = content.get(parts.PATH) or {}
    instant = item.get("kind") == "instant"
    if instant and not content.get(parts.DECISION):
        words = "即办件没有决策表时，申请由工作人员逐件办理，不能当场自动办结"
        yield Finding("decision", "", words, WARNING)
    if not instant and path.get(parts.USE) == "item_instant":
        yield Finding(
            "path", "use", "承诺件用了“即办件”的流程，请改选流程或把办件类型改为即办件", WARNING
        )
    if around.steps is None or not parts.own(content, parts.PATH) or "bpmn" in path:
        return
    steps = every(path.get("steps"))
    ids = [str(s.get("id")) for s in steps]
    ends = {
        str(way.get("end"))
        for step in steps
        for way in [*(step.get("outcomes") or {}).values(), step, *(step.get("choose") or [])]
        if isinstance(way, Mapping) and way.get("end")
    }
    if "granted" not in ends:
        yield Finding("path", "steps", "没有一条路通向“准予”（end: granted），申请永远办不成")
    for at, step in enumerate(steps):
        more = step.get("outcomes") or {}
        if "supplement" in more and "supplement" not in ids:
            yield Finding(
                "path", f"steps.{at}", f"“{step.get('title')}”可以要求补正，却没有“申请人补正”环节"
            )
        if step.get("each") == "departments" and not item.get("joint"):
            yield Finding(
                "item",
                "joint",
                f"“{step.get('title')}”征求各部门意见，而事项没有填共同实施部门，只会问到本部门",
                WARNING,
            )
        if step.get("decide") == "= decision" and not content.get(parts.DECISION):
            yield Finding(
                "decision", "", f"“{step.get('title')}”要用决策表，本服务还没有决策表", WARNING
            )
    if content.get(parts.LICENCE) and not any(s.get("permission") == "desk.deliver" for s in steps):
        yield Finding("path", "steps", "有结果证照，办理流程里却没有“制证送达”环节，证照不会签发")
    if content.get(parts.LICENCE) and "deliver" not in ids:
        yield Finding("path", "steps", "制证送达环节的标识应为 deliver，审批台按它签发证照")


def _licence(
    content: Mapping[str, Any], item: Mapping[str, Any], around: Around
) -> Iterator[Finding]:
    kind = around.licence
    if kind is None:
        return
    result = item.get("result") or {}
    mapping = {str(k): str(v) for k, v in (result.get("elements") or {}).items()}
    known = {q.id for q in around.questions or ()} | set(facts(item, around))
    names = {e.name for e in kind.elements}
    for name, source in mapping.items():
        if name not in names:
            yield Finding("licence", "result.elements", f"“{kind.title}”没有要素 {name}")
        elif source not in known and source not in ("applicant_name", "applicant_number"):
            yield Finding(
                "licence",
                "result.elements",
                f"要素“{name}”取自“{source}”，而申请表和情形里没有它",
            )
    numbers, begins, until = kind.dates
    made = {kind.number, numbers, begins, *kind.holder}
    if until and result.get("days"):
        made.add(until)
    if not kind.numbered and kind.number not in mapping and kind.number not in known:
        words = f"“{kind.title}”的编号不会自动生成：请设编号规则，或让申请表给出编号，否则每件都要人工填"
        yield Finding("licence", "numbering", words, WARNING)
    for element in kind.elements:
        if not element.required or element.name in made or element.name in mapping:
            continue
        if element.name not in known:
            yield Finding(
                "licence",
                "result.elements",
                f"“{kind.title}”必需的要素“{element.title}”没有来处：申请表没有同名的题目，也没有写明对应",
            )
    served = {"person": "person", "entity": "legal_entity"}
    lost = [o for o in item.get("objects") or [] if served.get(o) not in kind.holders]
    if lost:
        who = "、".join({"person": "个人", "entity": "企业"}.get(o, o) for o in lost)
        yield Finding("licence", "holders", f"事项面向{who}，而“{kind.title}”不发给{who}")


def _names(item: Mapping[str, Any], around: Around) -> Iterator[Finding]:
    situations = {str(s.get("id")) for s in item.get("situations") or []}
    twice = sorted(situations & {q.id for q in around.questions or ()})
    if twice:
        words = f"情形和申请表的题目同名（{'、'.join(twice)}）：判定时以情形的回答为准"
        yield Finding("form", "", words, WARNING)


PLACES = {
    "事项名称": "name", "基本编码": "basic_code", "实施编码": "basic_code", "事项类型": "type",
    "行使层级": "level", "实施主体性质": "body_nature", "办理形式": "channels", "特别程序": "special",
    "自然人主题": "themes.person", "法人主题": "themes.entity", "一生事": "life", "通办范围": "scope",
    "受理层级": "reach", "承诺办结时限": "promised_days", "法定办结时限单位": "legal_unit",
    "办理流程": "stages", "设定依据": "basis", "审查类型": "review", "办结类型": "result.closing",
    "必须现场办理原因": "visits_reason", "到现场次数": "visits", "收费依据": "fee", "收费项目": "fee",
    "是否支持网上支付": "online_payment", "是否收费": "fee", "咨询电话": "consult_phone",
    "监督电话": "complaint", "常见问题": "faq", "结果样本": "result.sample", "受理条件": "conditions",
    "办理地点": "places", "办理时间": "hours", "共同实施部门": "joint", "申请材料": "materials",
}  # fmt: skip
"""Where a finding of the items' checks stands in the editor."""
_OTHER = {"办理路径": "path", "申请表": "form", "决策表": "decision", "结果证照": "licence"}


def placed(field: str, words: str, severity: str, item: Mapping[str, Any]) -> Finding:
    """A finding of the items' checks with its page and place."""
    if field in _OTHER:
        return Finding(_OTHER[field], "", f"{field}：{words}", severity)
    for kind, key in (("材料", "materials"), ("情形", "situations")):
        if field.startswith(f"{kind}“"):
            named = field[len(kind) + 1 : -1]
            for at, entry in enumerate(item.get(key) or []):
                if named in (entry.get("name"), entry.get("question"), entry.get("id")):
                    return Finding("materials", f"{key}.{at}", f"{field}：{words}", severity)
            return Finding("materials", key, f"{field}：{words}", severity)
    place = PLACES.get(field, "")
    return Finding(parts.page_of(parts.ITEM, place), place, f"{field}：{words}", severity)


__all__ = [
    "ERROR",
    "PLACES",
    "WARNING",
    "Around",
    "Element",
    "Fact",
    "Finding",
    "Licence",
    "Question",
    "between",
    "facts",
    "placed",
    "told_facts",
]
