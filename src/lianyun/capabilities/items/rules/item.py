"""Item: one matter that a department handles: conditions, situations, materials with their grounds.

The shape is that of packs/*/items/*.yaml; its elements are those of GB/T 39046-2020, table 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INSTANT, PROMISED = "instant", "promised"
KINDS = {INSTANT: "即办件", PROMISED: "承诺件"}
KIND_CODES = {INSTANT: "1", PROMISED: "2"}
PERSON, ENTITY = "person", "entity"
OBJECTS = {PERSON: "个人", ENTITY: "企业和其他组织"}
OBJECT_CODES = {PERSON: ("1",), ENTITY: ("2", "3", "4", "5", "6")}
GROUNDS = {
    "licence": "电子证照",
    "library": "共享数据",
    "service": "网络核验",
    "earlier": "前序已交",
    "promise": "告知承诺",
}
GROUND_NOTES = {
    "licence": "您名下有这本电子证照的，不用提交",
    "library": "经您同意，由系统从共享数据中取得，不用提交",
    "service": "由系统与主管部门的数据核对，一致的不用提交",
    "earlier": "以前办事时交过且仍然有效的，不用再交",
    "promise": "可以书面承诺代替，之后核查",
}
SCOPES = {"0": "仅限本市", "1": "全国通办", "2": "跨省通办", "3": "跨市通办", "4": "跨县通办"}
REACHES = {
    "city": "市政务服务中心",
    "county": "县（区）政务服务中心",
    "town": "乡镇（街道）便民服务中心",
    "village": "村（社区）便民服务站",
}
WORKING_DAYS = "工作日"
DEFAULT_STEPS = ("申请与受理", "审核", "审批", "办结", "送达")
_SLUG = re.compile(r"[a-z][a-z0-9_]{1,59}")
_ID = re.compile(r"[a-z][a-z0-9_]{0,59}")


class BadItem(ValueError):
    """A declared item that cannot be read; the message names it, the field, and what is wrong."""


@dataclass(frozen=True)
class Option:
    """One answer to the question of a situation."""

    id: str
    title: str


@dataclass(frozen=True)
class Situation:
    """情形: a question whose answer narrows materials and way; `when` asks it only where it fits."""

    id: str
    question: str
    options: tuple[Option, ...]
    when: str = ""
    help: str = ""

    def title_of(self, answer: str) -> str:
        """The words of an answer, or an empty text."""
        return next((o.title for o in self.options if o.id == answer), "")


@dataclass(frozen=True)
class Ground:
    """One way by which a material need not be handed in (`by`: a key of GROUNDS).

    licence: `type` is a licence type; library: `library` and the items `need`ed of it; service:
    `source` is a dataset, `match` maps its column to a field of our form, `need` what comes back;
    earlier: `material` of an earlier case; promise: `text` is what the applicant declares.
    """

    by: str
    type: str = ""
    library: str = ""
    source: str = ""
    need: tuple[str, ...] = ()
    match: Mapping[str, str] = field(default_factory=dict)
    material: str = ""
    text: str = ""

    @property
    def title(self) -> str:
        """The ground in two words for people."""
        return GROUNDS[self.by]

    @property
    def note(self) -> str:
        """The ground in a sentence for people."""
        return self.text if self.by == "promise" and self.text else GROUND_NOTES[self.by]


@dataclass(frozen=True)
class Material:
    """One material: who issues it, when it is asked for, and on which grounds it is not."""

    id: str
    name: str
    issuer: str = ""
    required: bool = True
    when: str = ""
    grounds: tuple[Ground, ...] = ()
    originals: int = 1
    copies: int = 0
    note: str = ""
    issue_note: str = ""
    place: str = ""
    use: str = ""
    format: str = "原件或清晰照片、扫描件"
    sample: str = ""

    @property
    def free(self) -> bool:
        """Whether there is any ground on which it need not be handed in."""
        return bool(self.grounds)

    @property
    def quantity(self) -> str:
        """How many of each are asked for: 原件 1 份、复印件 1 份."""
        parts = [f"原件 {self.originals} 份"] if self.originals else []
        parts += [f"复印件 {self.copies} 份"] if self.copies else []
        return "、".join(parts)


@dataclass(frozen=True)
class Fee:
    """One charge: its name, standard and basis."""

    name: str
    standard: str
    basis: str = ""


@dataclass(frozen=True)
class Stage:
    """One step of the handling as applicants are shown it; `days` are working days."""

    title: str
    note: str = ""
    days: int | None = None


@dataclass(frozen=True)
class Answer:
    """One frequent question with its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Place:
    """Where one is received: name, address, hours, telephone."""

    name: str
    address: str = ""
    hours: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Result:
    """What the applicant has at the end; `licence` is the licence type issued, valid `days` days.

    With `renews` it is the licence of this type that the applicant holds, in its next version: the
    number stays, `days` are added; `early` is how many days before its end that may be asked.
    `ends` is the form's field with the number of the licence that ends with it (a sold home's).
    `elements` maps an element of the licence to a field of our form or a fact of the case; elements
    that bear the same name need no entry.
    """

    name: str = ""
    licence: str = ""
    days: int | None = None
    sample: str = ""
    closing: str = ""
    elements: Mapping[str, str] = field(default_factory=dict)
    renews: bool = False
    early: int | None = None
    ends: str = ""


@dataclass(frozen=True)
class Item:
    """One matter in the form in which it is published (packs/*/items/*.yaml with defaults filled)."""

    code: str
    name: str
    department: str
    department_name: str
    department_code: str
    basic_code: str
    type: str
    objects: tuple[str, ...]
    kind: str
    legal_days: int
    promised_days: int
    implementing_code: str = ""
    proof: int = 2
    legal_unit: str = WORKING_DAYS
    legal_note: str = ""
    promised_note: str = ""
    basis: str = ""
    conditions: tuple[str, ...] = ()
    situations: tuple[Situation, ...] = ()
    materials: tuple[Material, ...] = ()
    form: str = ""
    path: str = ""
    decision: str = ""
    result: Result = field(default_factory=Result)
    level: str = "3"
    body_nature: str = "1"
    power: str = ""
    content: str = ""
    stages: tuple[Stage, ...] = ()
    joint: tuple[str, ...] = ()
    agency: str = ""
    intermediary: str = "无"
    quota: str = "无数量限制"
    charged: bool = False
    fees: tuple[Fee, ...] = ()
    fee_basis: str = ""
    scope: str = "0"
    person_themes: tuple[str, ...] = ()
    entity_themes: tuple[str, ...] = ()
    life: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("1", "2", "3")
    special: tuple[str, ...] = ()
    division: str = ""
    appointment: bool = True
    online_payment: bool = False
    courier: bool = True
    online: bool = True
    visits: int = 0
    visits_reason: str = "无"
    system_level: str = "市级"
    places: tuple[Place, ...] = ()
    hours: str = ""
    consult: str = ""
    consult_phone: str = ""
    complaint: str = ""
    faq: tuple[Answer, ...] = ()
    keywords: tuple[str, ...] = ()
    reach: tuple[str, ...] = ("city", "county")
    review: str = ""
    hot: int = 0
    handling: tuple[tuple[str, str], ...] = ()
    generated: bool = False
    version: int = 0

    @property
    def ref(self) -> str:
        """Portable pointer: what a case is about."""
        return f"item:{self.code}"

    @property
    def instant(self) -> bool:
        """Decided at once (即办件)."""
        return self.kind == INSTANT

    @property
    def kind_title(self) -> str:
        """即办件 or 承诺件."""
        return KINDS.get(self.kind, self.kind)

    @property
    def promised_text(self) -> str:
        """The promised time in words; promises are made in working days."""
        return f"{self.promised_days} 个工作日" if self.promised_days else "当场办结"

    @property
    def legal_text(self) -> str:
        """The legal time in words; 0 days: the law sets none."""
        if not self.legal_days:
            return "法律未规定期限"
        unit = " 个工作日" if self.legal_unit == WORKING_DAYS else f" {self.legal_unit}"
        return f"{self.legal_days}{unit}"

    @property
    def legal_working_days(self) -> int:
        """The legal time in working days, five for every seven where the law counts days."""
        if self.legal_unit == WORKING_DAYS:
            return self.legal_days
        return self.legal_days * 5 // 7

    @property
    def objects_text(self) -> str:
        """Whom it serves, in words."""
        return "、".join(OBJECTS[o] for o in self.objects if o in OBJECTS)

    @property
    def scope_text(self) -> str:
        """Where it may be asked for, in words."""
        return SCOPES.get(self.scope, "")

    @property
    def reaches(self) -> tuple[str, ...]:
        """The counters at which it may be asked for, in words."""
        return tuple(REACHES[r] for r in self.reach if r in REACHES)

    def material(self, ident: str) -> Material:
        """The material with this id; raises KeyError."""
        for one in self.materials:
            if one.id == ident:
                return one
        raise KeyError(ident)

    def situation(self, ident: str) -> Situation:
        """The situation with this id; raises KeyError."""
        for one in self.situations:
            if one.id == ident:
                return one
        raise KeyError(ident)


@dataclass(frozen=True)
class Around:
    """What an item leans on: departments, standard materials, each department's window."""

    departments: Mapping[str, tuple[str, str]]
    materials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    windows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    division: str = ""

    def window(self, department: str) -> dict[str, Any]:
        """Place, hours and telephones of a department: its own over the common ones."""
        return {**self.windows.get("default", {}), **self.windows.get(department, {})}


_KEYS = {
    "code", "name", "department", "basic_code", "implementing_code", "type", "objects", "kind",
    "proof", "legal_days", "promised_days", "legal_unit", "legal_note", "promised_note", "basis",
    "conditions", "situations", "materials", "form", "path", "decision", "result", "level",
    "body_nature", "power", "content", "stages", "joint", "agency", "intermediary", "quota",
    "fee", "scope", "themes", "life", "channels", "special", "division", "appointment",
    "online_payment", "courier", "online", "visits", "visits_reason", "system_level", "places",
    "hours", "consult", "consult_phone", "complaint", "faq", "keywords", "reach", "review", "hot",
    "handling", "generated",
}  # fmt: skip


def implementing_code(body: str, level: str, basic: str) -> str:
    """实施编码: the body's credit code (18), the level of power (1) and the basic code (12): 31 characters."""
    return f"{body}{level}{basic}"


def handling_code(item: Item, number: int) -> str:
    """业务办理项编码: the implementing code and two digits, 33 characters."""
    return f"{item.implementing_code}{number:02d}"


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def read(data: Mapping[str, Any], around: Around) -> Item:
    """An item of its declaration; raises BadItem naming the item and the field.

    What a declaration leaves out is filled by defaults: the department's window, the way of
    handling by its kind, the implementing code by its three parts.
    """
    name = str(data.get("code") or data.get("name") or "?")

    def need(good: object, why: str) -> None:
        if not good:
            raise BadItem(f"事项 {name}：{why}")

    need(_SLUG.fullmatch(str(data.get("code") or "")), "code 应为小写英文标识")
    unknown = set(data) - _KEYS
    need(not unknown, f"不认识的键 {'、'.join(sorted(unknown))}")
    for key in ("name", "department", "basic_code", "type", "objects", "kind"):
        need(data.get(key), f"缺少 {key}")
    slug = str(data["department"])
    need(slug in around.departments, f"没有部门 {slug}")
    need(data["kind"] in KINDS, "kind 只能是 instant、promised")
    objects = _texts(data["objects"])
    need(set(objects) <= set(OBJECTS), "objects 只能是 person、entity")
    body_code, body_name = around.departments[slug]
    level = str(data.get("level") or "3")
    window = around.window(slug)
    themes = dict(data.get("themes") or {})
    fee = dict(data.get("fee") or {})
    numbers = {}
    for key, preset in (("legal_days", 0), ("promised_days", 0), ("proof", 2), ("visits", 0)):
        try:
            told = data.get(key)
            numbers[key] = preset if told is None else int(told)
        except (TypeError, ValueError) as error:
            raise BadItem(f"事项 {name}：{key} 应为整数") from error
    return Item(
        code=str(data["code"]),
        name=str(data["name"]),
        department=slug,
        department_name=body_name,
        department_code=body_code,
        basic_code=str(data["basic_code"]),
        implementing_code=str(
            data.get("implementing_code")
            or implementing_code(body_code, level, str(data["basic_code"]))
        ),
        type=str(data["type"]),
        objects=objects,
        kind=str(data["kind"]),
        **numbers,
        legal_unit=str(data.get("legal_unit") or WORKING_DAYS),
        legal_note=str(data.get("legal_note") or ""),
        promised_note=str(data.get("promised_note") or ""),
        basis=str(data.get("basis") or ""),
        conditions=_texts(data.get("conditions")),
        situations=_situations(data.get("situations") or (), need),
        materials=_materials(data.get("materials") or (), around, need),
        form=str(data.get("form") or ""),
        path=str(data.get("path") or f"item_{data['kind']}"),
        decision=str(data.get("decision") or ""),
        result=_result(data.get("result") or {}),
        level=level,
        body_nature=str(data.get("body_nature") or "1"),
        power=str(data.get("power") or ""),
        content=str(data.get("content") or ""),
        stages=_stages(data.get("stages"), str(data["kind"]), need),
        joint=_texts(data.get("joint")),
        agency=str(data.get("agency") or body_name),
        intermediary=str(data.get("intermediary") or "无"),
        quota=str(data.get("quota") or "无数量限制"),
        charged=bool(fee.get("charged", bool(fee.get("items")))),
        fees=tuple(
            Fee(str(f["name"]), str(f.get("standard") or ""), str(f.get("basis") or ""))
            for f in fee.get("items") or ()
        ),
        fee_basis=str(fee.get("basis") or ""),
        scope=str(data.get("scope") or "0"),
        person_themes=_texts(themes.get("person")),
        entity_themes=_texts(themes.get("entity")),
        life=_texts(data.get("life")),
        channels=_texts(data.get("channels")) or ("1", "2", "3"),
        special=_texts(data.get("special")),
        division=str(data.get("division") or around.division),
        appointment=bool(data.get("appointment", True)),
        online_payment=bool(data.get("online_payment", False)),
        courier=bool(data.get("courier", True)),
        online=bool(data.get("online", True)),
        visits_reason=str(data.get("visits_reason") or "无"),
        system_level=str(data.get("system_level") or "市级"),
        places=_places(data.get("places") or window.get("places") or ()),
        hours=str(data.get("hours") or window.get("hours") or ""),
        consult=str(data.get("consult") or window.get("consult") or ""),
        consult_phone=str(data.get("consult_phone") or window.get("consult_phone") or ""),
        complaint=str(data.get("complaint") or window.get("complaint") or ""),
        faq=tuple(Answer(str(f["q"]), str(f["a"])) for f in data.get("faq") or ()),
        keywords=_texts(data.get("keywords")),
        reach=_texts(data.get("reach")) or ("city", "county"),
        review=str(data.get("review") or ""),
        hot=int(data.get("hot") or 0),
        handling=tuple((str(h["id"]), str(h["name"])) for h in data.get("handling") or ()),
        generated=bool(data.get("generated", False)),
    )


Need = Callable[[object, str], None]


def _situations(entries: Sequence[Mapping[str, Any]], need: Need) -> tuple[Situation, ...]:
    out: list[Situation] = []
    for entry in entries:
        ident = str(entry.get("id") or "")
        need(_ID.fullmatch(ident), "situations 的 id 应为小写英文")
        need(ident not in {s.id for s in out}, f"情形 {ident} 重复")
        options = tuple(Option(str(o["id"]), str(o["title"])) for o in entry.get("options") or ())
        need(len(options) > 1, f"情形 {ident} 至少要有两个选项")
        need(len({o.id for o in options}) == len(options), f"情形 {ident} 的选项重复")
        out.append(
            Situation(
                ident,
                str(entry.get("question") or ident),
                options,
                str(entry.get("when") or ""),
                str(entry.get("help") or ""),
            )
        )
    return tuple(out)


_MATERIAL_KEYS = {
    "id", "name", "issuer", "required", "when", "grounds", "originals", "copies", "note",
    "issue_note", "place", "use", "format", "sample", "standard",
}  # fmt: skip


def _materials(
    entries: Sequence[Mapping[str, Any]], around: Around, need: Need
) -> tuple[Material, ...]:
    out: list[Material] = []
    for entry in entries:
        told = dict(entry)
        if standard := told.pop("standard", None):
            need(standard in around.materials, f"没有标准材料 {standard}")
            told = {"id": standard, **around.materials[standard], **told}
        ident = str(told.get("id") or "")
        need(_ID.fullmatch(ident), "materials 的 id 应为小写英文")
        unknown = set(told) - _MATERIAL_KEYS
        need(not unknown, f"材料 {ident} 有不认识的键 {'、'.join(sorted(unknown))}")
        need(ident not in {m.id for m in out}, f"材料 {ident} 重复")
        need(told.get("name"), f"材料 {ident} 缺少 name")
        out.append(
            Material(
                id=ident,
                name=str(told["name"]),
                issuer=str(told.get("issuer") or ""),
                required=bool(told.get("required", True)),
                when=str(told.get("when") or ""),
                grounds=tuple(_ground(g, ident, need) for g in told.get("grounds") or ()),
                originals=int(told.get("originals", 1)),
                copies=int(told.get("copies", 0)),
                note=str(told.get("note") or ""),
                issue_note=str(told.get("issue_note") or ""),
                place=str(told.get("place") or ""),
                use=str(told.get("use") or ""),
                format=str(told.get("format") or Material.format),
                sample=str(told.get("sample") or ""),
            )
        )
    return tuple(out)


_GROUND_NEEDS = {
    "licence": "type",
    "library": "library",
    "service": "source",
    "earlier": "material",
    "promise": "text",
}


def _ground(entry: Mapping[str, Any], material: str, need: Need) -> Ground:
    by = str(entry.get("by") or "")
    need(by in GROUNDS, f"材料 {material} 的 grounds 只能是 {'、'.join(GROUNDS)}")
    wanted = _GROUND_NEEDS[by]
    need(entry.get(wanted), f"材料 {material} 的 {by} 缺少 {wanted}")
    return Ground(
        by=by,
        type=str(entry.get("type") or ""),
        library=str(entry.get("library") or ""),
        source=str(entry.get("source") or ""),
        need=_texts(entry.get("need")),
        match={str(k): str(v) for k, v in (entry.get("match") or {}).items()},
        material=str(entry.get("material") or ""),
        text=str(entry.get("text") or ""),
    )


def _result(entry: Mapping[str, Any]) -> Result:
    days, early = entry.get("days"), entry.get("early")
    return Result(
        name=str(entry.get("name") or ""),
        licence=str(entry.get("licence") or ""),
        days=int(days) if days else None,
        sample=str(entry.get("sample") or ""),
        closing=str(entry.get("closing") or ""),
        elements={str(k): str(v) for k, v in (entry.get("elements") or {}).items()},
        renews=bool(entry.get("renews")),
        early=int(early) if early else None,
        ends=str(entry.get("ends") or ""),
    )


def _stages(entries: Any, kind: str, need: Need) -> tuple[Stage, ...]:
    if not entries:
        return tuple(Stage(title, days=0 if kind == INSTANT else None) for title in DEFAULT_STEPS)
    out = []
    for entry in entries:
        if isinstance(entry, str):
            out.append(Stage(entry))
            continue
        need(entry.get("title"), "stages 缺少 title")
        days = entry.get("days")
        out.append(
            Stage(
                str(entry["title"]),
                str(entry.get("note") or ""),
                None if days is None else int(days),
            )
        )
    return tuple(out)


def _places(entries: Sequence[Any]) -> tuple[Place, ...]:
    return tuple(
        Place(p)
        if isinstance(p, str)
        else Place(
            str(p["name"]),
            str(p.get("address") or ""),
            str(p.get("hours") or ""),
            str(p.get("phone") or ""),
        )
        for p in entries
    )
