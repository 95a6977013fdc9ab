"""Checks: what is wrong with an item, field by field: references, codes, and a city's rules of consistency.

The rules of consistency are those a city published for its items (standards §6.4); 承诺时限 ≤ 法定时限
is the 优化营商环境条例's spirit, and every material's issuer stands on the list of its article 44.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from .item import (
    DEFAULT_STEPS,
    ENTITY,
    GROUNDS,
    INSTANT,
    PERSON,
    REACHES,
    SCOPES,
    WORKING_DAYS,
    Ground,
    Item,
    implementing_code,
)

ERROR, WARNING = "error", "warning"
_BASIC = re.compile(r"\d{12}")
_PHONE = re.compile(r"0\d{2,3}-\d{5,8}(-\d{1,5})?")
_OWN = {"citizen_number", "credit_code", "owner_number", "holder_number"}
"""Columns and fields that hold whose a row is; a comparison without them may meet a stranger's."""
_NAMES = re.compile(r"\b[a-z_][a-z0-9_]*\b")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the field, the message for people, an error or a warning."""

    field: str
    message: str
    severity: str = ERROR

    @property
    def text(self) -> str:
        """Field and message."""
        return f"{self.field}：{self.message}"


@dataclass(frozen=True)
class Known:
    """What items may refer to; `expression_problem` says what is wrong with a condition, or None."""

    departments: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    licences: frozenset[str] = frozenset()
    libraries: Mapping[str, frozenset[str]] = field(default_factory=dict)
    datasets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    decisions: frozenset[str] = frozenset()
    body_code_ok: Callable[[str], bool] = bool
    expression_problem: Callable[[str], str | None] = lambda _: None


def check(item: Item, known: Known) -> list[Finding]:
    """Everything that is wrong with an item; an error keeps it from being published."""
    return [*_codes(item, known), *_time(item), *_consistent(item), *_parts(item, known)]


def _codes(item: Item, known: Known) -> Iterator[Finding]:
    if len(item.name) > 200:
        yield Finding("事项名称", "不能超过 200 个字")
    if not _BASIC.fullmatch(item.basic_code):
        yield Finding("基本编码", "应为 12 位数字")
    elif item.basic_code[2:4] != item.type:
        yield Finding("基本编码", f"第 3、4 位应与事项类型代码 {item.type} 一致")
    if not known.body_code_ok(item.department_code):
        yield Finding("实施主体代码", "不是有效的统一社会信用代码")
    wanted = implementing_code(item.department_code, item.level, item.basic_code)
    if item.implementing_code != wanted:
        yield Finding(
            "实施编码",
            f"应由实施主体代码、行使层级和基本编码组成：{wanted}，现为 {item.implementing_code}",
        )
    elif len(item.implementing_code) != 31:
        yield Finding("实施编码", "应为 31 位")
    for name, titles, values in (
        ("item_type", "事项类型", (item.type,)),
        ("exercise_level", "行使层级", (item.level,)),
        ("body_nature", "实施主体性质", (item.body_nature,)),
        ("service_channel", "办理形式", item.channels),
        ("special_procedure", "特别程序", item.special),
        ("person_theme", "自然人主题", item.person_themes),
        ("entity_theme", "法人主题", item.entity_themes),
        ("life_event", "一生事", item.life),
    ):
        allowed = known.codes.get(name)
        for value in values:
            if allowed is not None and value not in allowed:
                yield Finding(titles, f"代码 {value} 不在代码表中")
    if item.scope not in SCOPES:
        yield Finding("通办范围", f"代码只能是 {'、'.join(SCOPES)}")
    for reach in item.reach:
        if reach not in REACHES:
            yield Finding("受理层级", f"只能是 {'、'.join(REACHES)}")


def _time(item: Item) -> Iterator[Finding]:
    if item.legal_days < 0 or item.promised_days < 0:
        yield Finding("承诺办结时限", "期限不能为负数")
    if item.legal_days and item.promised_days > item.legal_working_days:
        yield Finding(
            "承诺办结时限",
            f"承诺 {item.promised_days} 个工作日，超过了法定 {item.legal_text}",
        )
    if item.legal_unit not in (WORKING_DAYS, "日"):
        yield Finding("法定办结时限单位", "只能是工作日或日")
    if item.kind == INSTANT and item.promised_days > 0:
        yield Finding("承诺办结时限", "即办件当场办结，承诺时限应为 0")
    if item.kind != INSTANT and item.promised_days < 1:
        yield Finding("承诺办结时限", "承诺件应承诺至少 1 个工作日；当场办结的请改为即办件")
    spent = sum(s.days or 0 for s in item.stages)
    if item.kind != INSTANT and spent > item.promised_days:
        yield Finding("办理流程", f"各环节合计 {spent} 天，超过承诺的 {item.promised_days} 天")
    if not item.basis:
        yield Finding("设定依据", "没有填写")
    elif len(item.basis) > 1000:
        yield Finding("设定依据", "不能超过 1000 个字")


_CLOSINGS = (("批复", "审批办结"), ("证", "出证办结"), ("文", "出文办结"))


def closing(item: Item) -> str:
    """办结类型, told by how the result's name ends; 审批办结 otherwise."""
    return next((way for end, way in _CLOSINGS if item.result.name.endswith(end)), "审批办结")


def review(item: Item) -> str:
    """审查类型, told by the kind of case."""
    return "即审即办" if item.kind == INSTANT else "前审后批"


def _consistent(item: Item) -> Iterator[Finding]:
    if item.review and item.review != review(item):
        yield Finding("审查类型", f"{item.kind_title}的审查类型应为“{review(item)}”")
    if item.result.closing and item.result.closing != closing(item):
        yield Finding("办结类型", f"结果名称“{item.result.name}”应为“{closing(item)}”")
    if item.visits and item.visits_reason in ("", "无"):
        yield Finding("必须现场办理原因", f"到现场 {item.visits} 次，应写明原因")
    if not item.visits and item.visits_reason != "无":
        yield Finding("必须现场办理原因", "不用到现场的，原因应填“无”")
    if not item.visits and not item.online and "4" not in item.channels:
        yield Finding("办理形式", "不到现场也不网办的，应支持快递申请（代码 4）")
    if item.visits < 0 or item.visits > 9:
        yield Finding("到现场次数", "应为 0 至 9")
    if item.charged:
        if not item.fee_basis:
            yield Finding("收费依据", "收费的事项应写明收费依据")
        if not item.fees or not all(f.name and f.standard for f in item.fees):
            yield Finding("收费项目", "收费的事项应写明收费项目和标准")
        if item.online and not item.online_payment:
            yield Finding("是否支持网上支付", "收费且网办的事项应支持网上支付")
    elif item.online_payment:
        yield Finding("是否支持网上支付", "不收费的事项不应支持网上支付")
    elif item.fees:
        yield Finding("是否收费", "列有收费项目，却标为不收费")
    for name, phone in (("咨询电话", item.consult_phone), ("监督电话", item.complaint)):
        if not _PHONE.fullmatch(phone):
            yield Finding(name, "应带区号，如 0518-12345")
    if item.consult_phone and item.consult_phone == item.complaint:
        yield Finding("监督电话", "不能与咨询电话相同")
    if bool(item.person_themes) != (PERSON in item.objects):
        yield Finding("自然人主题", "应与服务对象一致：服务个人的须有，不服务个人的不应有")
    if bool(item.entity_themes) != (ENTITY in item.objects):
        yield Finding("法人主题", "应与服务对象一致：服务企业的须有，不服务企业的不应有")
    if item.type == "01":
        if not item.faq:
            yield Finding("常见问题", "行政许可应至少有一条常见问题")
        if len(item.stages) < len(DEFAULT_STEPS):
            yield Finding("办理流程", "行政许可应列出受理、审核、审批、办结、送达等至少 5 个环节")
    if item.result.name and not (item.result.sample or item.result.licence):
        yield Finding("结果样本", "写了结果名称，应有结果样本或对应的电子证照", WARNING)
    if not item.conditions:
        yield Finding("受理条件", "没有填写")
    if not item.places:
        yield Finding("办理地点", "没有填写")
    if not item.hours:
        yield Finding("办理时间", "没有填写")


def _parts(item: Item, known: Known) -> Iterator[Finding]:
    for slug in item.joint:
        if slug not in known.departments:
            yield Finding("共同实施部门", f"没有部门 {slug}")
    if known.paths and item.path not in known.paths:
        yield Finding("办理路径", f"没有路径 {item.path}")
    if not item.form:
        yield Finding("申请表", "没有指定表单")
    elif known.forms and item.form not in known.forms:
        yield Finding("申请表", f"没有表单 {item.form}")
    if item.decision and known.decisions and item.decision not in known.decisions:
        yield Finding("决策表", f"没有决策表 {item.decision}")
    if item.result.licence and known.licences and item.result.licence not in known.licences:
        yield Finding("结果证照", f"没有证照类型 {item.result.licence}")
    if item.result.renews and not (item.result.licence and item.result.days):
        yield Finding("结果延续", "延续的事项应写明结果证照和延续的天数")
    asked = {s.id: {o.id for o in s.options} for s in item.situations}
    for situation in item.situations:
        yield from _condition(f"情形“{situation.question}”", situation.when, asked, known)
    if not item.materials:
        yield Finding("申请材料", "没有材料；确实不需要的，请在受理条件中写明", WARNING)
    for material in item.materials:
        name = f"材料“{material.name}”"
        yield from _condition(name, material.when, asked, known)
        if material.issuer and known.departments and material.issuer not in known.departments:
            yield Finding(name, f"没有出具部门 {material.issuer}")
        if material.originals < 0 or material.copies < 0 or material.originals > 99:
            yield Finding(name, "份数应为 0 至 99")
        for ground in material.grounds:
            yield from _ground(name, ground, known)


def _ground(name: str, ground: Ground, known: Known) -> Iterator[Finding]:
    title = GROUNDS[ground.by]
    if ground.by == "licence" and known.licences and ground.type not in known.licences:
        yield Finding(name, f"{title}：没有证照类型 {ground.type}")
    for by, wanted, offered in (
        ("library", ground.library, known.libraries),
        ("service", ground.source, known.datasets),
    ):
        if ground.by != by or not offered:
            continue
        if wanted not in offered:
            yield Finding(
                name, f"{title}：没有{'基础库或主题库' if by == 'library' else '数据集'} {wanted}"
            )
            continue
        for column in (*ground.need, *ground.match):
            if column not in offered[wanted]:
                yield Finding(name, f"{title}：{wanted} 中没有信息项 {column}")
    if ground.by == "service" and not _OWN & {*ground.match, *ground.match.values(), *ground.need}:
        message = f"{title}：没有核对申请人自己的号码，可能与他人的数据相符，请确认"
        yield Finding(name, message, WARNING)
    if ground.by == "service" and not ground.match:
        yield Finding(name, f"{title}：没有写明用哪个信息项核对")


def _condition(
    name: str, expression: str, asked: Mapping[str, set[str]], known: Known
) -> Iterator[Finding]:
    if not expression:
        return
    if problem := known.expression_problem(expression):
        yield Finding(name, problem)
        return
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", expression)
    for word in set(_NAMES.findall(bare)) - {"and", "or", "not", "in", "None", "True", "False"}:
        if word not in asked:
            yield Finding(name, f"条件“{expression}”用到了没有问过的情形 {word}")
    for ident, value in re.findall(r"(\w+)\s*(?:==|!=)\s*['\"]([^'\"]*)['\"]", expression):
        if ident in asked and value not in asked[ident]:
            yield Finding(name, f"条件“{expression}”中，情形 {ident} 没有选项 {value}")
