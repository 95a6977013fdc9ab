"""Content: the five parts of a service, and how they become declarations of a pack and come back."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .meeting import same

ITEM, FORM, PATH, DECISION, LICENCE = "item", "form", "path", "decision", "licence"
PARTS = {
    ITEM: "事项",
    FORM: "申请表",
    PATH: "办理流程",
    DECISION: "决策表",
    LICENCE: "结果证照",
}
FOLDERS = {
    ITEM: "items",
    FORM: "forms",
    PATH: "paths",
    DECISION: "decisions",
    LICENCE: "licences",
}
"""Where each part stands in a pack."""
USE = "use"
MOST_TEXT = 300_000
"""Characters of a workbook's content, as JSON."""
MOST_DEPTH = 30

DERIVED = (
    "code",
    "department",
    "form",
    "path",
    "decision",
    "implementing_code",
    "generated",
    "hot",
)
"""Keys of an item that follow from the workbook."""

PAGES: dict[str, tuple[str, str, tuple[str, ...] | None]] = {
    "item": ("事项要素", ITEM, (
        "name", "type", "basic_code", "objects", "kind", "proof", "legal_days", "legal_unit",
        "promised_days", "basis", "conditions", "themes", "life", "level", "body_nature", "scope",
        "channels", "reach", "special", "visits", "visits_reason", "online", "appointment",
        "courier", "online_payment", "fee", "quota", "agency", "intermediary", "joint", "power",
        "legal_note", "promised_note", "places", "hours", "consult", "consult_phone", "complaint",
        "review", "system_level", "division", "handling",
    )),
    "materials": ("情形与材料", ITEM, ("situations", "materials")),
    "form": ("申请表", FORM, None),
    "path": ("办理流程", PATH, None),
    "decision": ("决策表", DECISION, None),
    "licence": ("结果证照", LICENCE, None),
    "page": ("页面文字", ITEM, ("content", "keywords", "stages", "faq", "result")),
}  # fmt: skip
"""The editor's pages in their order: title, part, and which keys of the part stand there (None: all)."""


def empty(name: str) -> dict[str, Any]:
    """What a new workbook begins with: sensible choices, nothing invented."""
    return {
        ITEM: {
            "name": name, "type": "20", "basic_code": "", "objects": ["person"], "kind": "promised",
            "proof": 2, "legal_days": 0, "promised_days": 5, "basis": "", "conditions": [],
            "situations": [], "materials": [], "themes": {"person": [], "entity": []},
            "channels": ["1", "2", "3"], "reach": ["city", "county"], "online": True, "result": {},
        },
        FORM: {"title": f"{name}申请表", "parts": []},
        PATH: {USE: "item_promised"},
        DECISION: {},
        LICENCE: {},
    }  # fmt: skip


class BadContent(ValueError):
    """A content that cannot be kept; the message says why, in Chinese."""


def vetted(content: Any) -> dict[str, Any]:
    """A content that came from outside: its parts only, of sane size and depth. Raises BadContent."""
    if not isinstance(content, Mapping):
        raise BadContent("内容应为各部分的映射")
    out = {}
    for part in PARTS:
        value = content.get(part) or {}
        if not isinstance(value, Mapping):
            raise BadContent(f"“{PARTS[part]}”应为键和值")
        out[part] = _plain(value, PARTS[part], 0)
        _shaped(out[part], _SHAPES[part], PARTS[part])
    if len(json.dumps(out, ensure_ascii=False)) > MOST_TEXT:
        raise BadContent(f"内容超过 {MOST_TEXT // 10_000} 万字，请精简")
    return out


_SHAPES: dict[str, dict[str, Any]] = {
    ITEM: {
        "situations": [{"options": [{}]}],
        "materials": [{"grounds": [{"match": {}}]}],
        "result": {"elements": {}},
        "themes": {},
        "fee": {"items": [{}]},
        "faq": [{}],
    },
    FORM: {"parts": [{"fields": [{}], "repeat": {}, "rules": [{}]}]},
    PATH: {"steps": [{"choose": [{}], "outcomes": {"*": {}}, "inclusive": [{}]}]},
    DECISION: {"inputs": [{}], "outputs": [{}], "rules": [{}], "tables": [{}]},
    LICENCE: {"elements": [{}], "holder": {}, "dates": {}, "look": {}},
}
"""What must be a list of mappings ([{}]) or a mapping ({}): the rest is judged by whoever owns it."""


def _shaped(value: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> None:
    """Raise BadContent where a part has another build than its readers rely on."""
    for key, wanted in shape.items():
        names = list(value) if key == "*" else [key]
        for name in names:
            found = value.get(name)
            if found is None:
                continue
            here = f"{where}的 {name}"
            if isinstance(wanted, list):
                if not isinstance(found, list) or not all(isinstance(f, Mapping) for f in found):
                    raise BadContent(f"“{here}”应为清单，每一条是“键: 值”")
                for one in found:
                    _shaped(one, wanted[0], here)
            elif not isinstance(found, Mapping):
                raise BadContent(f"“{here}”应为“键: 值”")
            else:
                _shaped(found, wanted, here)


def _plain(value: Any, where: str, depth: int) -> Any:
    """JSON's own kinds only; dates become texts."""
    if depth > MOST_DEPTH:
        raise BadContent(f"“{where}”嵌套过深")
    if isinstance(value, Mapping):
        return {str(k)[:200]: _plain(v, where, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, where, depth + 1) for v in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise BadContent(f"“{where}”中有不能用的数")
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value).replace("\x00", "")


def own(content: Mapping[str, Any], part: str) -> bool:
    """Whether a part is the service's own: not left out and not one that exists already."""
    told = content.get(part) or {}
    return bool(told) and USE not in told


def assembled(content: Mapping[str, Any], code: str, department: str) -> dict[str, dict[str, Any]]:
    """The declarations of a service by part, exactly as a pack holds them.

    A path or table drawn elsewhere is `{"bpmn": text}` or `{"dmn": text}`.
    """
    told = dict(content.get(ITEM) or {})
    item = {"code": code, "name": told.pop("name", ""), "department": department, **told}
    item["form"] = code if own(content, FORM) else content.get(FORM, {}).get(USE, "")
    item["path"] = code if own(content, PATH) else content.get(PATH, {}).get(USE, "")
    decision = code if own(content, DECISION) else content.get(DECISION, {}).get(USE, "")
    if decision:
        item["decision"] = decision
    licence = code if own(content, LICENCE) else content.get(LICENCE, {}).get(USE, "")
    result = {k: v for k, v in dict(item.get("result") or {}).items() if k != "licence"}
    item["result"] = {**result, "licence": licence} if licence else result
    out: dict[str, dict[str, Any]] = {ITEM: {k: v for k, v in item.items() if v not in (None, "")}}
    out[ITEM].setdefault("name", "")
    if own(content, FORM):
        out[FORM] = {"code": code, **content[FORM]}
    if own(content, PATH):
        drawn = "bpmn" in content[PATH]
        out[PATH] = dict(content[PATH]) if drawn else {"key": code, **content[PATH]}
    if own(content, DECISION):
        out[DECISION] = dict(content[DECISION])
    if own(content, LICENCE):
        out[LICENCE] = {"name": code, "issuer": department, **content[LICENCE]}
    return copy.deepcopy(out)


def taken_apart(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The content of declarations as a pack holds them: the other way of `assembled`."""
    item = dict(declared.get(ITEM) or {})
    code = item.get("code")
    out: dict[str, Any] = {}
    for part, key in ((FORM, "form"), (PATH, "path"), (DECISION, "decision")):
        named = item.get(key) or ("" if part != PATH else f"item_{item.get('kind') or 'promised'}")
        if part in declared and named in (code, "", f"item_{item.get('kind')}"):
            out[part] = {k: v for k, v in declared[part].items() if k not in ("code", "key")}
        else:
            out[part] = {USE: named} if named else {}
    result = dict(item.get("result") or {})
    licence = result.pop("licence", "")
    if LICENCE in declared and licence in (code, ""):
        out[LICENCE] = {k: v for k, v in declared[LICENCE].items() if k not in ("name", "issuer")}
    else:
        out[LICENCE] = {USE: licence} if licence else {}
    out[ITEM] = {k: v for k, v in item.items() if k not in DERIVED} | {"result": result}
    return out


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts in which two contents differ."""
    return [p for p in PARTS if not same(before.get(p) or {}, now.get(p) or {})]


def digest(content: Mapping[str, Any], code: str) -> str:
    """What a content says, in sixteen letters; the same for what went out as a pack and came back."""
    told = taken_apart(assembled(content, code, ""))
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def page_of(part: str, key: str = "") -> str:
    """The editor's page on which a key of a part stands."""
    for name, (_, told, keys) in PAGES.items():
        if told == part and (keys is None or key.partition(".")[0] in keys):
            return name
    return "item"


def keys_of(page: str) -> Sequence[str] | None:
    """The keys of a page; None where it shows its whole part."""
    return PAGES[page][2]


__all__ = [
    "DECISION",
    "FOLDERS",
    "FORM",
    "ITEM",
    "LICENCE",
    "PAGES",
    "PARTS",
    "PATH",
    "USE",
    "BadContent",
    "assembled",
    "changed",
    "digest",
    "empty",
    "keys_of",
    "own",
    "page_of",
    "taken_apart",
    "vetted",
]
