"""Telling: how two contents of a service differ, in the words of the editor's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import content as parts
from . import layout
from .meeting import GRID, WHOLE, Place, known_by, same

ADDED, REMOVED, CHANGED, MOVED = "added", "removed", "changed", "moved"
WORDS = {
    ADDED: ("新增", "green"),
    REMOVED: ("去掉", "red"),
    CHANGED: ("修改", "blue"),
    MOVED: ("次序", "grey"),
}
_TABLE = ("inputs", "outputs", "rules", "tables")
_DRAWN = {"bpmn": "画好的流程图（BPMN 文件）", "dmn": "做好的决策表（DMN 文件）"}
LONGEST = 400

_DAYS = {"promised_days": "承诺时限内", "legal_days": "法定时限内"}
_SIGNS = {"==": "是", "!=": "不是", "<": "小于", "<=": "不超过", ">": "大于", ">=": "不少于"}
_COMPARED = re.compile(r"([A-Za-z_][\w.]*)\s*(==|!=|<=|>=|<|>)\s*(?:'([^']*)'|(-?[\w.]+))")

Lists = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """One difference: where, how it was, how it is, and what kind of difference."""

    where: tuple[str, ...]
    before: str
    now: str
    kind: str = CHANGED

    @property
    def word(self) -> str:
        """The kind of difference in a word."""
        return WORDS[self.kind][0]

    @property
    def tone(self) -> str:
        """The colour of its badge."""
        return WORDS[self.kind][1]


def fields_of(part: str) -> list[layout.Field]:
    """The fields of all pages on which a part is edited."""
    return [
        field
        for page, (_, told, _) in parts.PAGES.items()
        if told == part
        for group in layout.PAGES[page]
        for field in group["fields"]
    ]


def told(part: str, before: Mapping[str, Any], now: Mapping[str, Any], lists: Lists) -> list[Told]:
    """Every difference between two contents of a part, in the order of the editor's pages.

    The cells of a decision table are told by `flows.table_changes`, not here.
    """
    out = list(_Teller(before, now, lists).fields(fields_of(part), before, now, ()))
    for key, words in _DRAWN.items():
        if not same(before.get(key), now.get(key)):
            out.append(
                Told((words,), "有" if before.get(key) else "", "有" if now.get(key) else "")
            )
    return out


class _Teller:
    """Two contents of one part being compared; `lists` are the choices that the pages offer."""

    def __init__(self, before: Mapping[str, Any], now: Mapping[str, Any], lists: Lists) -> None:
        self.roots, self.lists = (now, before), lists

    def fields(
        self, fields: list[layout.Field], before: Any, now: Any, trail: tuple[str, ...]
    ) -> Iterator[Told]:
        seen, tops = set(), {"id"} if trail else set()
        for field in fields:
            name = field["name"]
            tops.add(name.partition(".")[0])
            if name in seen:
                continue
            one, other = _get(before, name), _get(now, name)
            if same(one, other):
                continue
            if not (_fits(field, now) or _fits(field, before)):
                continue  # another field of the same name shows it
            seen.add(name)
            yield from self._field(field, (before, one), (now, other), trail)
        for key in dict.fromkeys([*before, *now]):
            if key in tops or key in _TABLE or key in _DRAWN or same(before.get(key), now.get(key)):
                continue
            yield Told(
                (*trail, layout.label(key)), self._plain(before.get(key)), self._plain(now.get(key))
            )

    def _field(
        self,
        field: layout.Field,
        was: tuple[Any, Any],
        now: tuple[Any, Any],
        trail: tuple[str, ...],
    ) -> Iterator[Told]:
        label = field["label"] or _noun(field)
        if field["kind"] not in ("list", "entries"):
            yield Told((*trail, label), self.words(field, *was), self.words(field, *now))
            return
        one, other = _entries(was[1]), _entries(now[1])
        if one is None or other is None:
            yield Told((*trail, label), self._several(field, was[1]), self._several(field, now[1]))
            return
        for name in dict.fromkeys([*one, *other]):
            a, b = one.get(name), other.get(name)
            here = (*trail, f"{_noun(field)}“{self.title(field, b if b is not None else a)}”")
            if a is None:
                yield Told(here, "", self.summary(field, b), ADDED)
            elif b is None:
                yield Told(here, self.summary(field, a), "", REMOVED)
            elif not same(a, b):
                yield from self.fields(field["fields"], a, b, here)
        stay = [[n for n in names if n in one and n in other] for names in (one, other)]
        if stay[0] != stay[1]:
            first, then = ("、".join(self.title(field, other[n]) for n in names) for names in stay)
            yield Told((*trail, f"{label}的次序"), first, then, MOVED)

    def title(self, field: layout.Field, entry: Any) -> str:
        """What an entry of a list is called."""
        if not isinstance(entry, Mapping):
            return str(entry)
        if field.get("title") == "by":
            return self._several({**field, "title": ""}, [entry])
        for key in (field.get("title"), "title", "name", "question"):
            if key and entry.get(key):
                return str(entry[key])
        for key, listed in (("element", "elements"), ("standard", "standards")):
            if entry.get(key):
                return _titled(self.lists.get(listed) or (), entry[key])
        return known_by(entry) or "未命名"

    def summary(self, field: layout.Field, entry: Any) -> str:
        """An entry in one text: what is filled in, field by field."""
        if not isinstance(entry, Mapping):
            return str(entry)
        out = []
        for one in field["fields"]:
            value = _get(entry, one["name"])
            if value in (None, "", [], {}) or not _fits(one, entry) or one["name"] == "id":
                continue
            if one["name"] == field.get("title") and field.get("title") != "by":
                continue
            if one["kind"] in ("list", "entries"):
                words = self._several(one, value)
            else:
                words = self.words(one, entry, value)
            out.append(f"{one['label'] or _noun(one)}：{words}")
        return "；".join(dict.fromkeys(out)) or self.title(field, entry)

    def _several(self, field: layout.Field, value: Any) -> str:
        """A list that is told as a whole."""
        entries = (
            value.values() if isinstance(value, Mapping) and field["kind"] == "entries" else value
        )
        if isinstance(entries, Mapping):
            entries = [entries]
        if not entries:
            return ""
        if field["name"] == "outcomes":
            return "；".join(self._way(field, entry) for entry in entries)
        told = []
        for entry in entries:
            if field.get("title") and isinstance(entry, Mapping) and field.get("title") != "by":
                told.append(self.title(field, entry))
            else:
                told.append("，".join(self._filled(field, entry)))
        return "；".join(told)

    def _way(self, field: layout.Field, entry: Any) -> str:
        """One outcome of a step: the button, and where it leads."""
        known = {one["name"]: one for one in field["fields"]}
        leads = next((n for n in ("end", "go") if _get(entry, n)), "")
        where = self.words(known[leads], entry, _get(entry, leads)) if leads else "下一个环节"
        more = "，要写理由" if _get(entry, "reason") else ""
        return f"{self.title(field, entry)} → {'办结：' if leads == 'end' else ''}{where}{more}"

    def _filled(self, field: layout.Field, entry: Any) -> list[str]:
        if not isinstance(entry, Mapping):
            return [str(entry)]
        return [
            self.words(one, entry, _get(entry, one["name"]))
            for one in field["fields"]
            if _get(entry, one["name"]) not in (None, "", [], {}) and _fits(one, entry)
        ]

    def words(self, field: layout.Field, at: Any, value: Any) -> str:
        """One value as people read it on the page."""
        if value is None or value == "" or value == [] or value == {}:
            return ""
        pairs = self._choices(field, at)
        match field["kind"]:
            case "bool":
                return "是" if value else "否"
            case "days":
                return _DAYS.get(str(value), f"{value} 个工作日")
            case "when":
                return self._condition(str(value))
            case "map" if isinstance(value, Mapping):
                asked = self.lists.get(field.get("value", "")) or self.lists.get("fields") or ()
                return "；".join(
                    f"{_titled(pairs, k)} = {_titled(asked, v)}" for k, v in value.items()
                )
            case _ if isinstance(value, list):
                return "；".join(_titled(pairs, v) for v in value)
            case _ if isinstance(value, Mapping):
                return self._plain(value)
        return _titled(pairs, value)[:LONGEST]

    def _condition(self, text: str) -> str:
        """A condition with the titles of what it asks."""
        facts = {str(f[0]): f for f in self.lists.get("facts") or ()}

        def word(found: re.Match[str]) -> str:
            fact = facts.get(found[1])
            if fact is None:
                return found[0]
            value = _titled(fact[3], found[3] if found[3] is not None else found[4])
            return f"{fact[1]}{_SIGNS[found[2]]}{value}"

        told = _COMPARED.sub(word, text)
        return told.replace(" and ", "，而且").replace(" or ", "，或者")

    def _choices(self, field: layout.Field, at: Any) -> Any:
        if field.get("of"):
            told = field["of"]
            key = f"{told['prefix']}{(at or {}).get(told['key']) or ''}"
            return (self.lists.get(told["list"]) or {}).get(key) or ()
        if field.get("steps") or field.get("names"):
            listed = field.get("names") or "steps"
            key = "name" if field.get("names") else "id"
            return [
                (e.get(key), e.get("title") or e.get(key))
                for root in self.roots
                for e in root.get(listed) or ()
                if isinstance(e, Mapping)
            ]
        choices = field.get("choices") or ()
        return (self.lists.get(choices) or ()) if isinstance(choices, str) else choices

    def _plain(self, value: Any) -> str:
        if value in (None, "", [], {}):
            return ""
        if isinstance(value, Mapping):
            return "；".join(f"{k}：{self._plain(v)}" for k, v in value.items())[:LONGEST]
        if isinstance(value, list):
            return "；".join(self._plain(v) for v in value)[:LONGEST]
        return ("是" if value else "否") if isinstance(value, bool) else str(value)[:LONGEST]


def _entries(value: Any) -> dict[str, Any] | None:
    """Entries by what they are known by; None where they cannot be told apart."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items()}
    if not isinstance(value, list):
        return None
    out = {known_by(e): e for e in value}
    return out if "" not in out and len(out) == len(value) else None


def _get(at: Any, name: str) -> Any:
    for key in name.split("."):
        at = at.get(key) if isinstance(at, Mapping) else None
    return at


def _fits(field: layout.Field, at: Any) -> bool:
    """Whether a field is shown beside these siblings, as the browser decides it."""
    for name, wanted in (field.get("when") or {}).items():
        value = _get(at, name)
        filled = value not in (None, "", [], {}, False)
        several = value if isinstance(value, list) else [value]
        if not any(
            filled if w == "*" else not filled if w is None else w in several for w in wanted
        ):
            return False
    return True


def _noun(field: layout.Field) -> str:
    item = str(field.get("item") or "")
    return item[2:] if item.startswith("一") else item or str(field["label"])


def _titled(pairs: Any, value: Any) -> str:
    for one, title in pairs:
        if str(one) == str(value):
            return str(title)
    return str(value)


def place_words(part: str, place: Place) -> str:
    """A place in a part as people call it, where nothing better is known."""
    if place[0] in (GRID, WHOLE):
        return "决策表的列和规则" if place[0] == GRID else parts.PARTS[part]
    return " › ".join([layout.label(place[0]), *place[1:]])


__all__ = ["ADDED", "CHANGED", "MOVED", "REMOVED", "Told", "fields_of", "place_words", "told"]
