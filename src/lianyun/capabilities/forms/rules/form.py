"""Form: what a pack declares of a form: its parts, their fields, when each is asked, where it is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

KINDS = {
    "text": "文字",
    "choice": "单选",
    "multi": "多选",
    "date": "日期",
    "moment": "日期时间",
    "number": "数字",
    "money": "金额",
    "file": "附件",
    "signature": "签名",
    "declaration": "声明",
}
SOURCES = {
    "identity": "实名信息",
    "entity": "本次代表的单位",
    "library": "基础库、主题库",
    "dataset": "部门数据",
    "licence": "电子证照",
}
IDENTITY = ("name", "number", "phone")
ENTITY = ("name", "code")
FILES = {
    "pdf": "PDF",
    "image": "图片（JPG、PNG）",
    "ofd": "OFD",
    "word": "Word（DOCX）",
    "excel": "Excel（XLSX）",
}
MAX_FILES, MAX_ROWS, MAX_TEXT = 20, 50, 5000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_RESERVED = {"today", "check", "files", "and", "or", "not", "in", "None", "True", "False"}
_FORM_KEYS = {"code", "title", "note", "parts"}
_PART_KEYS = {"id", "title", "note", "when", "repeat", "fields", "rules"}
_REPEAT_KEYS = {"min", "max", "item", "total"}
_FIELD_KEYS = {
    "id", "title", "element", "kind", "required", "help", "options", "domain", "max", "min", "when",
    "from", "locked", "accept", "files", "text", "unit", "decimals", "pattern", "say", "mask",
    "personal", "rows",
}  # fmt: skip


class BadForm(ValueError):
    """A declared form that cannot be used; the message names it, the field and what is wrong."""


class Shape(Protocol):
    """A representation format, parsed (kernel.element.Format)."""

    kind: str
    minimum: int
    maximum: int | None
    decimals: int
    pattern: str | None


class Spec(Protocol):
    """A data element (kernel.element.ElementSpec), as far as forms look at it."""

    title: str
    type: str
    domain: str | None
    check: str | None
    mask: str
    personal: bool
    unit: str

    @property
    def parsed(self) -> Any:
        """Its Shape."""


@dataclass(frozen=True)
class World:
    """What a declaration may refer to: elements by code, and the check of a condition's language.

    `condition` raises an exception whose text says what is wrong.
    """

    elements: Mapping[str, Any]
    condition: Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where the city knows a field's value: `kind` of SOURCES, the thing's name, the item of it."""

    kind: str
    name: str
    item: str


@dataclass(frozen=True)
class Asker:
    """One form's interest in a field or part: its own name for it, its condition, whether it must be."""

    form: str
    own: str
    when: str = ""
    required: bool = False


@dataclass(frozen=True)
class Field:
    """One question. `low`, `high` bound a text's characters, a number's value or a list's length."""

    id: str
    title: str
    kind: str
    element: str = ""
    askers: tuple[Asker, ...] = ()
    help: str = ""
    options: tuple[tuple[str, str], ...] = ()
    domain: str = ""
    low: float | str | None = None
    high: float | str | None = None
    decimals: int = 0
    shape: str = ""
    check: str = ""
    pattern: str = ""
    say: str = ""
    mask: str = "none"
    personal: bool = False
    unit: str = ""
    text: str = ""
    rows: int = 0
    accept: tuple[str, ...] = ("pdf", "image")
    files: int = 10
    locked: bool = False
    sources: tuple[Source, ...] = ()

    @property
    def required(self) -> bool:
        """Whether every form that asks it demands it (what a page can say beforehand)."""
        return all(a.required for a in self.askers)

    def names(self) -> Iterator[str]:
        """Every name that its conditions use."""
        for asker in self.askers:
            yield from names_in(asker.when)


@dataclass(frozen=True)
class Rule:
    """What must hold between the answers of a part: `good` is true of good answers."""

    form: str
    good: str
    say: str
    field: str


@dataclass(frozen=True)
class Repeat:
    """A part asked several times: how often, what one is called, and what a number must sum up to."""

    low: int = 0
    high: int = 10
    item: str = "一项"
    total: tuple[str, float, str] | None = None


@dataclass(frozen=True)
class Part:
    """One page of a form."""

    id: str
    title: str
    fields: tuple[Field, ...]
    askers: tuple[Asker, ...] = ()
    note: str = ""
    repeat: Repeat | None = None
    rules: tuple[Rule, ...] = ()

    def field(self, name: str) -> Field:
        """The field of this name; raises KeyError."""
        for one in self.fields:
            if one.id == name:
                return one
        raise KeyError(name)


@dataclass(frozen=True)
class Form:
    """A form, or several merged into one (then `codes` are theirs, in order)."""

    code: str
    title: str
    parts: tuple[Part, ...]
    codes: tuple[str, ...] = ()
    note: str = ""

    def part(self, name: str) -> Part:
        """The part of this name; raises KeyError."""
        for one in self.parts:
            if one.id == name:
                return one
        raise KeyError(name)

    def plain_fields(self) -> Iterator[tuple[Part, Field]]:
        """Every field outside repeated parts, with its part."""
        for part in self.parts:
            if part.repeat is None:
                for one in part.fields:
                    yield part, one

    def field(self, name: str) -> Field:
        """The field of this name outside repeated parts; raises KeyError."""
        for _, one in self.plain_fields():
            if one.id == name:
                return one
        raise KeyError(name)

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Which fields the city may know, and whence, in the order to be tried."""
        return {f.id: f.sources for _, f in self.plain_fields() if f.sources}


def names_in(expression: str) -> tuple[str, ...]:
    """The names that a condition uses (words outside quotes, without what follows a dot)."""
    bare = _QUOTED.sub(" ", expression)
    return tuple(
        dict.fromkeys(
            w.group()
            for w in _WORD.finditer(bare)
            if w.group() not in _RESERVED and not bare[: w.start()].rstrip().endswith(".")
        )
    )


def read(code: str, data: Mapping[str, Any], world: World) -> Form:
    """A form from its declaration (packs/<sector>/forms/<code>.yaml); raises BadForm."""

    def need(good: object, why: str) -> None:
        if not good:
            raise BadForm(f"表单 {code}：{why}")

    need(_NAME.fullmatch(code), "code 应为小写英文")
    need(data.get("code", code) == code, f"code 应与文件名 {code} 相同")
    _keys(data, _FORM_KEYS, need)
    need(data.get("title"), "缺少 title")
    need(data.get("parts") and isinstance(data["parts"], list), "缺少 parts")
    parts = tuple(_part(code, entry, world, need) for entry in data["parts"])
    names: list[str] = []
    for part in parts:
        names.append(part.id)
        names += [] if part.repeat else [f.id for f in part.fields]
    twice = sorted({n for n in names if names.count(n) > 1})
    need(not twice, f"{'、'.join(twice)} 用了两次（部分与题目的 id 全表唯一）")
    known = {*names, *(f"count_{p.id}" for p in parts if p.repeat)}
    for part in parts:
        own = known | ({f.id for f in part.fields} if part.repeat else set())
        used = [(part.id, part.askers[0].when, known)]
        used += [(f.id, f.askers[0].when, own) for f in part.fields]
        used += [(part.id, rule.good, own) for rule in part.rules]
        for where, expression, seen in used:
            missing = [n for n in names_in(expression) if n not in seen]
            need(not missing, f"{where} 的条件用到没有声明的 {'、'.join(missing)}")
    return Form(code, str(data["title"]), parts, (code,), str(data.get("note") or ""))


def _keys(data: Mapping[str, Any], known: set[str], need: Callable[[object, str], None]) -> None:
    unknown = sorted(set(data) - known)
    need(not unknown, f"不认识的键 {'、'.join(map(str, unknown))}")


def _condition(text: Any, where: str, world: World, need: Callable[[object, str], None]) -> str:
    if text in (None, ""):
        return ""
    try:
        world.condition(str(text))
    except Exception as wrong:
        need(False, f"{where}：{wrong}")
    return str(text)


def _part(
    code: str, data: Mapping[str, Any], world: World, need: Callable[[object, str], None]
) -> Part:
    name = str(data.get("id") or "")
    need(_NAME.fullmatch(name) and name not in _RESERVED, f"部分的 id“{name}”不能用")

    def inner(good: object, why: str) -> None:
        need(good, f"{name}：{why}")

    _keys(data, _PART_KEYS, inner)
    inner(data.get("title"), "缺少 title")
    inner(data.get("fields") and isinstance(data["fields"], list), "缺少 fields")
    fields = tuple(_field(code, entry, world, inner) for entry in data["fields"])
    inner(len({f.id for f in fields}) == len(fields), "题目的 id 重复")
    repeat = None
    if (told := data.get("repeat")) is not None:
        _keys(told, _REPEAT_KEYS, inner)
        total = None
        if sums := told.get("total"):
            inner(
                any(f.id == sums.get("field") and f.kind in ("number", "money") for f in fields)
                and "equals" in sums
                and sums.get("say"),
                "repeat.total 应有 field（数字）、equals、say",
            )
            total = (str(sums["field"]), float(sums["equals"]), str(sums["say"]))
        repeat = Repeat(
            int(told.get("min", 0)),
            int(told.get("max", 10)),
            str(told.get("item") or "一项"),
            total,
        )
        inner(0 <= repeat.low <= repeat.high and 1 <= repeat.high <= MAX_ROWS, "repeat 的次数有误")
    rules = []
    for entry in data.get("rules") or []:
        inner(
            isinstance(entry, Mapping)
            and set(entry) == {"good", "say", "field"}
            and any(f.id == entry["field"] for f in fields),
            "rules 的每一条应有 good、say、field（本部分的题目）",
        )
        good = _condition(entry["good"], "rules", world, inner)
        rules.append(Rule(code, good, str(entry["say"]), str(entry["field"])))
    when = _condition(data.get("when"), "when", world, inner)
    return Part(
        name,
        str(data["title"]),
        fields,
        (Asker(code, name, when),),
        str(data.get("note") or ""),
        repeat,
        tuple(rules),
    )


_OF_TYPE = {
    "C": "text", "M": "text", "G": "text", "N": "number", "I": "number", "B": "number",
    "F": "number", "Y": "money", "D": "date", "T": "moment", "L": "choice",
}  # fmt: skip


def _field(
    code: str, data: Mapping[str, Any], world: World, need: Callable[[object, str], None]
) -> Field:
    name = str(data.get("id") or "")
    need(_NAME.fullmatch(name) and name not in _RESERVED, f"题目的 id“{name}”不能用")

    def inner(good: object, why: str) -> None:
        need(good, f"{name}：{why}")

    _keys(data, _FIELD_KEYS, inner)
    element = str(data.get("element") or "")
    inner(not element or element in world.elements, f"数据元 {element} 没有声明")
    spec: Spec | None = world.elements[element] if element else None
    kind = str(data.get("kind") or "")
    if not kind and spec is not None:
        kind = "choice" if spec.domain else _OF_TYPE[spec.type]
    inner(kind in KINDS, f"kind 只能是 {'、'.join(KINDS)}（用 element 时可以不写）")
    title = str(data.get("title") or (spec.title if spec else ""))
    inner(title, "缺少 title")
    made = Field(
        id=name,
        title=title,
        kind=kind,
        element=element,
        askers=(
            Asker(
                code,
                name,
                _condition(data.get("when"), "when", world, inner),
                bool(data.get("required", kind in ("declaration",))),
            ),
        ),
        help=str(data.get("help") or ""),
        domain=str(data.get("domain") or ""),
        low=_bound(kind, data.get("min"), inner),
        high=_bound(kind, data.get("max"), inner),
        decimals=int(data.get("decimals", 2 if kind == "money" else 0)),
        pattern=str(data.get("pattern") or ""),
        say=str(data.get("say") or ""),
        mask=str(data.get("mask") or "none"),
        personal=bool(data.get("personal", False)),
        unit=str(data.get("unit") or ("元" if kind == "money" else "")),
        text=str(data.get("text") or ""),
        rows=int(data.get("rows") or 0),
        accept=tuple(data.get("accept") or ("pdf", "image")),
        files=int(data.get("files", 10)),
        locked=bool(data.get("locked", False)),
        sources=tuple(_sources(data.get("from"), inner)),
    )
    if spec is not None:
        made = _with_element(made, spec, data)
    return _judged(made, data, inner)


def _bound(kind: str, value: Any, need: Callable[[object, str], None]) -> float | str | None:
    if value is None:
        return None
    if kind in ("date", "moment"):
        text = str(value)
        need(
            text == "today" or re.fullmatch(r"\d{4}-\d\d-\d\d", text),
            "日期界限应为 today 或 2026-01-31",
        )
        return text
    need(isinstance(value, int | float) and not isinstance(value, bool), "min、max 应为数")
    return float(value)


def _with_element(made: Field, spec: Spec, data: Mapping[str, Any]) -> Field:
    """The field with its element's format, domain, check digits and mask, where it says nothing else."""
    shape = spec.parsed
    changes: dict[str, Any] = {
        "check": spec.check or "",
        "mask": data.get("mask") or spec.mask,
        "personal": bool(data.get("personal", spec.personal)),
        "domain": data.get("domain") or spec.domain or "",
        "unit": made.unit or spec.unit,
    }
    if made.kind == "text":
        changes["shape"] = shape.kind if shape.kind in ("n", "a") else ""
        if made.low is None and shape.minimum:
            changes["low"] = float(shape.minimum)
        if made.high is None and shape.maximum:
            changes["high"] = float(shape.maximum)
        if spec.mask == "phone":
            changes["check"] = "phone"
    elif made.kind in ("number", "money"):
        changes["decimals"] = shape.decimals if "decimals" not in data else made.decimals
        if made.high is None and shape.maximum:
            changes["high"] = float(10 ** min(shape.maximum - shape.decimals, 12) - 1)
    elif made.kind == "choice" and spec.type == "L" and not made.options:
        changes["options"] = (("1", "是"), ("0", "否"))
    return replace(made, **changes)


def _judged(made: Field, data: Mapping[str, Any], need: Callable[[object, str], None]) -> Field:
    options = data.get("options")
    if options is not None:
        # A frozen declaration holds pairs: its database does not keep the order of keys.
        pairs = options.items() if isinstance(options, Mapping) else options
        need(
            options and all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs),
            "options 应为 代码: 名称",
        )
        made = replace(made, options=tuple((str(k), str(v)) for k, v in pairs))
    if made.kind in ("choice", "multi"):
        need(made.options or made.domain, "单选、多选要有 options 或代码表")
    if made.kind == "text":
        made = replace(made, high=min(float(made.high or MAX_TEXT), MAX_TEXT))
        if not made.rows and float(made.high or 0) > 200 and not made.check:
            made = replace(made, rows=5)
    if made.kind == "signature":
        made = replace(made, high=50.0)
    if made.kind == "declaration":
        need(made.text, "声明要有 text")
    if made.kind == "file":
        need(set(made.accept) <= set(FILES), f"accept 只能是 {'、'.join(FILES)}")
        need(1 <= made.files <= MAX_FILES, f"files 最多 {MAX_FILES}")
    if made.pattern:
        try:
            re.compile(made.pattern)
        except re.error as wrong:
            need(False, f"pattern 有误：{wrong}")
        need(made.say, "有 pattern 就要有 say（告诉填写的人怎样才对）")
    return made


def _sources(told: Any, need: Callable[[object, str], None]) -> Iterator[Source]:
    if not told:
        return
    for entry in told if isinstance(told, list) else [told]:
        need(isinstance(entry, Mapping), "from 应为 {library: …, item: …} 等")
        kind = next((k for k in SOURCES if k in entry), "")
        need(kind, f"from 只能来自 {'、'.join(SOURCES)}")
        if kind in ("identity", "entity"):
            allowed = IDENTITY if kind == "identity" else ENTITY
            need(entry[kind] in allowed and len(entry) == 1, f"{kind} 只有 {'、'.join(allowed)}")
            yield Source(kind, kind, str(entry[kind]))
            continue
        item = "element" if kind == "licence" else "item"
        need(entry.get(item) and set(entry) == {kind, item}, f"from 要写明 {kind} 和 {item}")
        yield Source(kind, str(entry[kind]), str(entry[item]))


def all_sources(forms: Sequence[Form]) -> Iterator[tuple[str, str, Source]]:
    """(form, field, source) of everything these forms want filled in."""
    for one in forms:
        for part in one.parts:
            for asked in part.fields:
                for source in asked.sources:
                    yield one.code, asked.id, source
