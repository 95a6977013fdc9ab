"""Sheets: items as rows of a workbook: the 64 elements of GB/T 39046-2020, table 4, and our own columns.

Elements 1–55 stand on the sheet 事项, 56–64 on 材料 (one row a material), questions on 情形 (one row an
option). Own columns come after the standard's; a column that a file lacks leaves that part as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .checks import closing, review
from .item import GROUNDS, KINDS, WORKING_DAYS, Ground, Item, Place, Stage

ITEMS, MATERIALS, SITUATIONS = "事项", "材料", "情形"
ELEMENTS = (
    (1, "事项名称", "an..200"), (2, "基本编码", "an12"), (3, "实施编码", "an31"),
    (4, "事项类型", "an..30"), (5, "事项类型代码", "n2"), (6, "设定依据", "a..1000"),
    (7, "行使层级", "an..200"), (8, "行使层级代码", "n1"), (9, "权限划分", "a..1000"),
    (10, "行使内容", "ul"), (11, "实施主体", "an..100"), (12, "实施主体代码", "an..18"),
    (13, "实施主体性质", "an..100"), (14, "实施主体性质代码", "n1"),
    (15, "法定办结时限", "an..20"), (16, "法定办结时限单位", "an..20"), (17, "法定办结时限说明", "ul"),
    (18, "承诺办结时限", "an..20"), (19, "承诺办结时限单位", "an..20"), (20, "承诺办结时限说明", "ul"),
    (21, "受理条件", "ul"), (22, "办理流程", "ul"), (23, "共同实施部门", "an..100"),
    (24, "共同实施部门代码", "an..18"), (25, "承办机构", "an..100"), (26, "承办机构代码", "an..18"),
    (27, "中介服务", "an..2000"), (28, "数量限制", "an..200"), (29, "结果名称", "an..100"),
    (30, "结果样本", "binary"), (31, "是否收费", "n1"), (32, "收费依据", "ul"),
    (33, "通办范围代码", "n1"), (34, "服务对象", "an..200"), (35, "服务对象代码", "an..10"),
    (36, "服务主题", "an..200"), (37, "法人服务主题代码", "an..10"), (38, "自然人服务主题代码", "an..10"),
    (39, "办理形式", "an..20"), (40, "办理形式代码", "an..10"), (41, "特别程序", "ul"),
    (42, "行政管辖", "an..20"), (43, "行政管辖代码", "an..10"), (44, "是否支持预约办理", "n1"),
    (45, "是否支持网上支付", "n1"), (46, "是否支持物流快递", "n1"), (47, "是否网办", "n1"),
    (48, "网办地址", "an..50"), (49, "运行系统层级", "an..20"), (50, "办理地点", "an..100"),
    (51, "办理时间", "an..150"), (52, "咨询方式", "an..20"), (53, "咨询电话", "an..18"),
    (54, "监督电话", "an..18"), (55, "常见问题", "an..1000"),
    (56, "材料名称", "an..200"), (57, "出具机构", "an..100"), (58, "出具时间要求", "an..150"),
    (59, "材料办理说明", "an..500"), (60, "材料办理地点", "an..400"), (61, "材料使用说明", "an..500"),
    (62, "原件份数", "n..2"), (63, "复印件份数", "n..2"), (64, "是否必备材料", "n1"),
)  # fmt: skip
"""(number, title, format): 基本编码 and 实施编码 have today's national lengths, not those of 2020."""
ITEM_TITLES = tuple(title for number, title, _ in ELEMENTS if number < 56)
MATERIAL_TITLES = tuple(title for number, title, _ in ELEMENTS if number >= 56)
OWN = (
    "标识", "办件类型", "审查类型", "办结类型", "到现场次数", "必须现场办理原因", "收费项目", "申请表",
    "办理路径", "决策表", "结果证照", "结果有效天数", "身份等级", "一生事代码", "受理层级", "关键词",
    "数据性质", "结果要素", "结果延续", "结果注销",
)  # fmt: skip
OWN_MATERIAL = ("标识", "材料标识", "使用条件", "免交依据", "材料形式")
SITUATION_TITLES = ("标识", "情形标识", "问题", "提问条件", "提示", "选项标识", "选项")
SIMULATED = "模拟数据"
REQUIRED = ("事项名称", "基本编码", "事项类型代码", "实施主体代码", "服务对象代码")

_STAGE = re.compile(r"^\s*(?:\d+[.、]\s*)?(.+?)(?:（(\d+) ?个工作日）)?(?:：(.*))?$", re.S)
_PERSONS, _FIRMS = "1", ("2", "3", "4", "5", "6")


@dataclass(frozen=True)
class Names:
    """Names of codes and of departments, for people to read and for names to be understood."""

    codes: Mapping[str, Mapping[str, str]]
    departments: Mapping[str, tuple[str, str]]

    def name(self, code_list: str, code: str) -> str:
        """The name of a code, or an empty text."""
        return self.codes.get(code_list, {}).get(code, "")

    def code(self, code_list: str, name: str) -> str:
        """The code of a name, or an empty text."""
        return next((c for c, n in self.codes.get(code_list, {}).items() if n == name), "")

    def slug(self, told: str) -> str:
        """The department with this code or name, or an empty text."""
        return next((s for s, both in self.departments.items() if told in (s, *both)), "")


@dataclass
class Row:
    """One item of a file: where it stood, its content, and what could not be understood in it."""

    number: int
    content: dict[str, Any]
    problems: list[tuple[str, str]] = field(default_factory=list)


def _yes(value: bool) -> str:
    return "1" if value else "0"


def _join(values: Sequence[str]) -> str:
    return "、".join(v for v in values if v)


def _split(text: str) -> list[str]:
    return [p.strip() for p in re.split(r"[、，,;；\n]", text) if p.strip()]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _place(place: Place) -> str:
    return f"{place.name}：{place.address}" if place.address else place.name


def _stage(number: int, stage: Stage) -> str:
    days = "" if stage.days is None else f"（{stage.days} 个工作日）"
    return f"{number}. {stage.title}{days}{'：' + stage.note if stage.note else ''}"


def object_codes(item: Item) -> list[str]:
    """Codes of A.4 for whom the item serves."""
    return [_PERSONS] * ("person" in item.objects) + list(_FIRMS[:1]) * ("entity" in item.objects)


def item_row(item: Item, names: Names, address: str = "") -> dict[str, Any]:
    """One row of the sheet 事项."""
    joint = [names.departments.get(s, ("", s)) for s in item.joint]
    objects = object_codes(item)
    agency = names.slug(item.agency)
    return {
        "事项名称": item.name,
        "基本编码": item.basic_code,
        "实施编码": item.implementing_code,
        "事项类型": names.name("item_type", item.type),
        "事项类型代码": item.type,
        "设定依据": item.basis,
        "行使层级": names.name("exercise_level", item.level),
        "行使层级代码": item.level,
        "权限划分": item.power,
        "行使内容": item.content,
        "实施主体": item.department_name,
        "实施主体代码": item.department_code,
        "实施主体性质": names.name("body_nature", item.body_nature),
        "实施主体性质代码": item.body_nature,
        "法定办结时限": str(item.legal_days),
        "法定办结时限单位": item.legal_unit,
        "法定办结时限说明": item.legal_note,
        "承诺办结时限": str(item.promised_days),
        "承诺办结时限单位": WORKING_DAYS,
        "承诺办结时限说明": item.promised_note,
        "受理条件": "\n".join(item.conditions),
        "办理流程": "\n".join(_stage(n, s) for n, s in enumerate(item.stages, 1)),
        "共同实施部门": _join([n for _, n in joint]),
        "共同实施部门代码": _join([c for c, _ in joint]),
        "承办机构": item.agency,
        "承办机构代码": names.departments[agency][0] if agency else "",
        "中介服务": item.intermediary,
        "数量限制": item.quota,
        "结果名称": item.result.name,
        "结果样本": item.result.sample,
        "是否收费": _yes(item.charged),
        "收费依据": item.fee_basis,
        "通办范围代码": item.scope,
        "服务对象": _join([names.name("service_object", c) for c in objects]),
        "服务对象代码": _join(objects),
        "服务主题": _join(
            [names.name("person_theme", t) for t in item.person_themes]
            + [names.name("entity_theme", t) for t in item.entity_themes]
        ),
        "法人服务主题代码": _join(item.entity_themes),
        "自然人服务主题代码": _join(item.person_themes),
        "办理形式": _join([names.name("service_channel", c) for c in item.channels]),
        "办理形式代码": _join(item.channels),
        "特别程序": _join(item.special),
        "行政管辖": names.name("divisions", item.division),
        "行政管辖代码": item.division,
        "是否支持预约办理": _yes(item.appointment),
        "是否支持网上支付": _yes(item.online_payment),
        "是否支持物流快递": _yes(item.courier),
        "是否网办": _yes(item.online),
        "网办地址": address,
        "运行系统层级": item.system_level,
        "办理地点": "\n".join(_place(p) for p in item.places),
        "办理时间": item.hours,
        "咨询方式": item.consult,
        "咨询电话": item.consult_phone,
        "监督电话": item.complaint,
        "常见问题": "\n".join(f"问：{f.question}\n答：{f.answer}" for f in item.faq),
        "标识": item.code,
        "办件类型": item.kind_title,
        "审查类型": review(item),
        "办结类型": closing(item),
        "到现场次数": str(item.visits),
        "必须现场办理原因": item.visits_reason,
        "收费项目": "\n".join(f"{f.name}：{f.standard}" for f in item.fees),
        "申请表": item.form,
        "办理路径": item.path,
        "决策表": item.decision,
        "结果证照": item.result.licence,
        "结果有效天数": str(item.result.days or ""),
        "身份等级": str(item.proof),
        "一生事代码": _join(item.life),
        "受理层级": _join(item.reach),
        "关键词": _join(item.keywords),
        "结果要素": _join([f"{k}={v}" for k, v in item.result.elements.items()]),
        "数据性质": SIMULATED if item.generated else "",
        "结果延续": (f"是（期满前 {item.result.early} 日内）" if item.result.early else "是")
        if item.result.renews
        else "",
        "结果注销": item.result.ends,
    }


def material_rows(item: Item, names: Names) -> list[dict[str, Any]]:
    """Rows of the sheet 材料."""
    return [
        {
            "标识": item.code,
            "材料标识": m.id,
            "材料名称": m.name,
            "出具机构": names.departments.get(m.issuer, ("", m.issuer))[1],
            "出具时间要求": m.issue_note,
            "材料办理说明": m.note,
            "材料办理地点": m.place,
            "材料使用说明": m.use,
            "原件份数": str(m.originals),
            "复印件份数": str(m.copies),
            "是否必备材料": _yes(m.required),
            "使用条件": m.when,
            "免交依据": "\n".join(ground_text(g) for g in m.grounds),
            "材料形式": m.format,
        }
        for m in item.materials
    ]


def situation_rows(item: Item) -> list[dict[str, Any]]:
    """Rows of the sheet 情形, one an option."""
    return [
        {
            "标识": item.code,
            "情形标识": s.id,
            "问题": s.question,
            "提问条件": s.when,
            "提示": s.help,
            "选项标识": o.id,
            "选项": o.title,
        }
        for s in item.situations
        for o in s.options
    ]


def ground_text(ground: Ground) -> str:
    """A ground in one line: 共享数据 population 取 name、residence_address."""
    subject = ground.type or ground.library or ground.source or ground.material or ground.text
    parts = [GROUNDS[ground.by], subject]
    if ground.match:
        parts += ["核", "、".join(f"{k}={v}" for k, v in ground.match.items())]
    if ground.need:
        parts += ["取", "、".join(ground.need)]
    return " ".join(parts)


_SUBJECT = {
    "licence": "type", "library": "library", "service": "source", "earlier": "material",
    "promise": "text",
}  # fmt: skip


def ground_of(line: str) -> dict[str, Any] | None:
    """The ground that a line tells, or None."""
    title, _, rest = line.strip().partition(" ")
    by = next((b for b, t in GROUNDS.items() if t == title), None)
    if by is None or not rest.strip():
        return None
    if by == "promise":
        return {"by": by, "text": rest.strip()}
    words = rest.split()
    out: dict[str, Any] = {"by": by, _SUBJECT[by]: words[0]}
    for mark, value in zip(words[1::2], words[2::2], strict=False):
        if mark == "核":
            out["match"] = dict(p.split("=", 1) for p in value.split("、") if "=" in p)
        elif mark == "取":
            out["need"] = value.split("、")
    return out


def _number(text: str) -> int | None:
    digits = re.sub(r"\.0$", "", text.strip())
    return int(digits) if digits.lstrip("-").isdigit() else None


def item_content(row: Mapping[str, str], names: Names, at: int) -> Row:
    """The content that a row of 事项 tells; only of the columns that the file has."""
    out: dict[str, Any] = {}
    found = Row(at, out)

    def wrong(column: str, message: str) -> None:
        found.problems.append((column, message))

    def text(column: str, key: str) -> None:
        if column in row:
            out[key] = row[column].strip()

    def number(column: str, key: str) -> None:
        if row.get(column, "").strip():
            value = _number(row[column])
            if value is None:
                wrong(column, f"“{row[column]}”不是数字")
            else:
                out[key] = value

    def coded(column: str, code_list: str, key: str) -> None:
        code = row.get(f"{column}代码", "").strip() or names.code(
            code_list, row.get(column, "").strip()
        )
        if code:
            out[key] = code

    for column in REQUIRED:
        if not row.get(column, "").strip():
            wrong(column, "没有填写")
    slug = names.slug(row.get("实施主体代码", "").strip()) or names.slug(
        row.get("实施主体", "").strip()
    )
    if not slug:
        wrong("实施主体代码", f"没有代码为“{row.get('实施主体代码', '')}”的部门")
    out["department"] = slug
    for column, key in (
        ("标识", "code"), ("事项名称", "name"), ("基本编码", "basic_code"), ("设定依据", "basis"),
        ("权限划分", "power"), ("行使内容", "content"), ("法定办结时限单位", "legal_unit"),
        ("法定办结时限说明", "legal_note"), ("承诺办结时限说明", "promised_note"),
        ("承办机构", "agency"), ("中介服务", "intermediary"), ("数量限制", "quota"),
        ("通办范围代码", "scope"), ("行政管辖代码", "division"), ("运行系统层级", "system_level"),
        ("办理时间", "hours"), ("咨询方式", "consult"), ("咨询电话", "consult_phone"),
        ("监督电话", "complaint"), ("申请表", "form"), ("办理路径", "path"), ("决策表", "decision"),
        ("必须现场办理原因", "visits_reason"), ("实施编码", "implementing_code"),
    ):  # fmt: skip
        text(column, key)
    coded("事项类型", "item_type", "type")
    coded("行使层级", "exercise_level", "level")
    coded("实施主体性质", "body_nature", "body_nature")
    for column, key in (
        ("法定办结时限", "legal_days"), ("承诺办结时限", "promised_days"),
        ("到现场次数", "visits"), ("身份等级", "proof"),
    ):  # fmt: skip
        number(column, key)
    for column, key in (
        ("是否支持预约办理", "appointment"), ("是否支持网上支付", "online_payment"),
        ("是否支持物流快递", "courier"), ("是否网办", "online"),
    ):  # fmt: skip
        if column in row:
            out[key] = row[column].strip() in ("1", "是", "1.0")
    for column, key in (
        ("办理形式代码", "channels"), ("特别程序", "special"), ("一生事代码", "life"),
        ("受理层级", "reach"), ("关键词", "keywords"),
    ):  # fmt: skip
        if column in row:
            out[key] = _split(row[column])
    objects = set(_split(row.get("服务对象代码", "")))
    out["objects"] = ["person"] * ("1" in objects) + ["entity"] * bool(objects & set(_FIRMS))
    if not out["objects"]:
        wrong("服务对象代码", "应为 1 至 6 的代码")
    kind = next((k for k, t in KINDS.items() if t == row.get("办件类型", "").strip()), "")
    if kind or "办件类型" not in row:
        out["kind"] = kind or ("promised" if out.get("promised_days") else "instant")
    else:
        wrong("办件类型", "应为即办件或承诺件")
    text("审查类型", "review")
    if "数据性质" in row:
        out["generated"] = row["数据性质"].strip() == SIMULATED
    _parts(row, out, names)
    return found


def _parts(row: Mapping[str, str], out: dict[str, Any], names: Names) -> None:
    if "受理条件" in row:
        out["conditions"] = _lines(row["受理条件"])
    if "办理流程" in row:
        out["stages"] = [_stage_of(line) for line in _lines(row["办理流程"])]
    if "共同实施部门代码" in row:
        joint = _split(row["共同实施部门代码"]) or _split(row.get("共同实施部门", ""))
        out["joint"] = [names.slug(j) or j for j in joint]
    if "办理地点" in row:
        out["places"] = [
            {"name": name, "address": address}
            for name, _, address in (line.partition("：") for line in _lines(row["办理地点"]))
        ]
    if "常见问题" in row:
        out["faq"] = [
            {"q": q.strip(), "a": a.strip()}
            for q, a in re.findall(r"问：(.*?)\s*答：(.*?)(?=\s*问：|$)", row["常见问题"], re.S)
        ]
    out["themes"] = {
        "person": _split(row.get("自然人服务主题代码", "")),
        "entity": _split(row.get("法人服务主题代码", "")),
    }
    if "是否收费" in row:
        out["fee"] = {
            "charged": row["是否收费"].strip() in ("1", "是", "1.0"),
            "basis": row.get("收费依据", "").strip(),
            "items": [
                {"name": name, "standard": standard}
                for name, _, standard in (
                    line.partition("：") for line in _lines(row.get("收费项目", ""))
                )
            ],
        }
    out["result"] = {
        "name": row.get("结果名称", "").strip(),
        "sample": row.get("结果样本", "").strip(),
        "licence": row.get("结果证照", "").strip(),
        "days": _number(row.get("结果有效天数", "")),
        "closing": row.get("办结类型", "").strip(),
        "elements": dict(
            pair.split("=", 1) for pair in _split(row.get("结果要素", "")) if "=" in pair
        ),
        "ends": row.get("结果注销", "").strip(),
        "renews": row.get("结果延续", "").strip().startswith("是"),
        "early": _number("".join(c for c in row.get("结果延续", "") if c.isdecimal())),
    }


def _stage_of(line: str) -> dict[str, Any]:
    found = _STAGE.match(line)
    if found is None:
        return {"title": line}
    title, days, note = found.groups()
    out: dict[str, Any] = {"title": title.strip(), "note": (note or "").strip()}
    if days is not None:
        out["days"] = int(days)
    return out


def material_content(row: Mapping[str, str], names: Names, number: int) -> dict[str, Any]:
    """One material that a row tells; raises ValueError with a Chinese message."""
    grounds = []
    for line in _lines(row.get("免交依据", "")):
        ground = ground_of(line)
        if ground is None:
            raise ValueError(f"免交依据“{line}”写法有误，应如“电子证照 driving_licence”")
        grounds.append(ground)
    counts = {}
    for column, key, preset in (("原件份数", "originals", 1), ("复印件份数", "copies", 0)):
        value = _number(row.get(column, "") or str(preset))
        if value is None:
            raise ValueError(f"{column}“{row[column]}”不是数字")
        counts[key] = value
    issuer = row.get("出具机构", "").strip()
    return {
        "id": row.get("材料标识", "").strip() or f"m{number}",
        "name": row.get("材料名称", "").strip(),
        "issuer": names.slug(issuer),
        "issue_note": row.get("出具时间要求", "").strip(),
        "note": row.get("材料办理说明", "").strip(),
        "place": row.get("材料办理地点", "").strip(),
        "use": row.get("材料使用说明", "").strip(),
        "required": row.get("是否必备材料", "1").strip() not in ("0", "否", "0.0"),
        "when": row.get("使用条件", "").strip(),
        "grounds": grounds,
        "format": row.get("材料形式", "").strip(),
        **counts,
    }


def situations_content(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The questions that rows of 情形 tell, in their order."""
    out: dict[str, dict[str, Any]] = {}
    for row in rows:
        ident = row.get("情形标识", "").strip()
        question = out.setdefault(
            ident,
            {
                "id": ident,
                "question": row.get("问题", "").strip(),
                "when": row.get("提问条件", "").strip(),
                "help": row.get("提示", "").strip(),
                "options": [],
            },
        )
        question["options"].append(
            {"id": row.get("选项标识", "").strip(), "title": row.get("选项", "").strip()}
        )
    return list(out.values())
