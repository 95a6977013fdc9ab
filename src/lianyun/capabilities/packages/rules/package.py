"""Package: one matter of life or business (一件事): the items it is made of, its questions, its order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

PERSON, ENTITY = "person", "entity"
AUDIENCES = {PERSON: "个人", ENTITY: "企业和其他组织"}
MAX_ITEMS = 12
_SLUG = re.compile(r"[a-z][a-z0-9_]{1,58}")
_NAMES = re.compile(r"\b[a-z_][a-z0-9_]*\b")
_TEXTS = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORDS = {"and", "or", "not", "in", "count"}
_KEYS = {
    "code", "name", "audience", "life", "lead", "promised_days", "summary", "source", "keywords",
    "hot", "questions", "items",
}  # fmt: skip
_ITEM_KEYS = {"item", "why", "when", "after", "answers", "alone", "brings"}


class BadPackage(Exception):
    """A declaration that cannot be read; the message (Chinese) names the package and what is wrong."""


@dataclass(frozen=True)
class Option:
    """One answer that may be given."""

    id: str
    title: str


@dataclass(frozen=True)
class Question:
    """One question of a package, asked once for all its items; `when` asks it only where it fits."""

    id: str
    question: str
    options: tuple[Option, ...]
    when: str = ""
    help: str = ""

    def title_of(self, answer: str) -> str:
        """The words of an answer; empty for one that is not offered."""
        return next((o.title for o in self.options if o.id == answer), "")


@dataclass(frozen=True)
class Member:
    """One item of a package: why and when it belongs, what it waits for, its situations' answers.

    `answers` gives a situation of the item an option's id, or `= question` of the package; one with
    a question's own name needs no entry. `alone`: it is opened though what it waited for failed.
    `brings` names the materials that the result of an item before it stands for.
    """

    item: str
    why: str
    when: str = ""
    after: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    brings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Package:
    """One declared package; `promised_days` (working days) from the filing to the last item's end."""

    code: str
    name: str
    audience: str
    life: tuple[str, ...]
    lead: str
    promised_days: int
    summary: str
    source: str
    keywords: tuple[str, ...]
    hot: int
    questions: tuple[Question, ...]
    members: tuple[Member, ...]
    pack: str = ""

    @property
    def audience_title(self) -> str:
        """Whom it serves, in words."""
        return AUDIENCES[self.audience]

    def member(self, item: str) -> Member:
        """The member of this item; raises KeyError."""
        for one in self.members:
            if one.item == item:
                return one
        raise KeyError(item)


def _texts(value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    return tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def read(
    data: Mapping[str, Any], *, problem: Callable[[str], str | None], pack: str = ""
) -> Package:
    """A package of its declaration; `problem` says what is wrong with a condition. Raises BadPackage."""
    name = str(data.get("code") or data.get("name") or "?")

    def need(good: object, why: str) -> None:
        if not good:
            raise BadPackage(f"套餐 {name}：{why}")

    need(_SLUG.fullmatch(str(data.get("code") or "")), "code 应为小写英文标识")
    unknown = set(data) - _KEYS
    need(not unknown, f"不认识的键 {'、'.join(sorted(unknown))}")
    for key in ("name", "audience", "lead", "promised_days", "summary", "source", "items"):
        need(data.get(key), f"缺少 {key}")
    need(data["audience"] in AUDIENCES, "audience 只能是 person、entity")
    days = data["promised_days"]
    need(isinstance(days, int) and 0 < days <= 365, "promised_days 应为 1 到 365 的整数")
    questions = _questions(data.get("questions") or (), need)
    members = _members(data["items"], need)
    known = {q.id for q in questions}
    for what, expression in [
        *((f"问题 {q.id}", q.when) for q in questions),
        *((f"事项 {m.item}", m.when) for m in members),
    ]:
        if expression:
            need(not (wrong := problem(expression)), f"{what} 的 when 有误：{wrong}")
            strange = names_in(expression) - known
            need(not strange, f"{what} 的 when 提到了没有的问题 {'、'.join(sorted(strange))}")
    _order(members, need)
    return Package(
        code=str(data["code"]),
        name=str(data["name"]),
        audience=str(data["audience"]),
        life=_texts(data.get("life")),
        lead=str(data["lead"]),
        promised_days=int(days),
        summary=str(data["summary"]),
        source=str(data["source"]),
        keywords=_texts(data.get("keywords")),
        hot=int(data.get("hot") or 0),
        questions=questions,
        members=members,
        pack=pack,
    )


Need = Callable[[object, str], None]


def _questions(entries: Sequence[Mapping[str, Any]], need: Need) -> tuple[Question, ...]:
    out: list[Question] = []
    for entry in entries:
        ident = str(entry.get("id") or "")
        need(_SLUG.fullmatch(ident), "questions 的 id 应为小写英文")
        need(ident not in {q.id for q in out}, f"问题 {ident} 重复")
        need("__" not in ident, f"问题 {ident} 的 id 不能含两个下划线")
        options = tuple(Option(str(o["id"]), str(o["title"])) for o in entry.get("options") or ())
        need(len(options) > 1, f"问题 {ident} 至少要有两个选项")
        need(len({o.id for o in options}) == len(options), f"问题 {ident} 的选项重复")
        out.append(
            Question(
                ident,
                str(entry.get("question") or ident),
                options,
                str(entry.get("when") or ""),
                str(entry.get("help") or ""),
            )
        )
    return tuple(out)


def _members(entries: Sequence[Mapping[str, Any]], need: Need) -> tuple[Member, ...]:
    out: list[Member] = []
    for entry in entries:
        item = str(entry.get("item") or "")
        need(_SLUG.fullmatch(item), "items 的每一项要写明 item（事项标识）")
        need(item not in {m.item for m in out}, f"事项 {item} 重复")
        unknown = set(entry) - _ITEM_KEYS
        need(not unknown, f"事项 {item} 有不认识的键 {'、'.join(sorted(unknown))}")
        need(entry.get("why"), f"事项 {item} 缺少 why（为什么要办）")
        answers = tuple((str(k), str(v)) for k, v in (entry.get("answers") or {}).items())
        out.append(
            Member(
                item,
                str(entry["why"]),
                str(entry.get("when") or ""),
                _texts(entry.get("after")),
                answers,
                bool(entry.get("alone", False)),
                tuple((str(k), str(v)) for k, v in (entry.get("brings") or {}).items()),
            )
        )
        for material, giver in out[-1].brings:
            need(
                giver in out[-1].after,
                f"事项 {item} 的材料 {material} 取自 {giver}，应先列在 after",
            )
    need(1 < len(out) <= MAX_ITEMS, f"一个套餐由 2 至 {MAX_ITEMS} 个事项组成")
    return tuple(out)


def _order(members: Sequence[Member], need: Need) -> None:
    """Raises where an item waits for one that is not there, or two wait for each other."""
    after = {m.item: set(m.after) for m in members}
    for item, names in after.items():
        strange = names - set(after)
        need(not strange, f"事项 {item} 要等的 {'、'.join(sorted(strange))} 不在套餐里")
    done: set[str] = set()
    while len(done) < len(after):
        ready = {i for i, names in after.items() if i not in done and names <= done}
        stuck = "、".join(sorted(set(after) - done))
        need(ready, f"事项 {stuck} 互相等待，谁也不能先办")
        done |= ready


def names_in(expression: str) -> set[str]:
    """The names that a condition mentions."""
    return set(_NAMES.findall(_TEXTS.sub("", expression))) - _WORDS


# ---- against what is published -------------------------------------------------------------


class SituationLike(Protocol):
    """A situation as items declare it."""

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def options(self) -> tuple[Any, ...]: ...
    @property
    def help(self) -> str: ...
    def title_of(self, answer: str) -> str: ...


class ItemLike(Protocol):
    """An item as packages look at it."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def objects(self) -> tuple[str, ...]: ...
    @property
    def online(self) -> bool: ...
    @property
    def form(self) -> str: ...
    @property
    def promised_days(self) -> int: ...
    @property
    def situations(self) -> tuple[Any, ...]: ...
    @property
    def materials(self) -> tuple[Any, ...]: ...


def faults(
    package: Package,
    items: Mapping[str, ItemLike],
    departments: frozenset[str],
    life: frozenset[str],
) -> Iterator[str]:
    """Everything that keeps a package from being offered, one Chinese line each."""
    if package.lead not in departments:
        yield f"没有牵头部门 {package.lead}"
    for code in package.life:
        if code not in life:
            yield f"代码表 life_event 没有 {code}"
    for member in package.members:
        item = items.get(member.item)
        if item is None:
            yield f"事项 {member.item} 没有发布，或已停办"
            continue
        if package.audience not in item.objects:
            yield f"事项“{item.name}”不面向{package.audience_title}"
        if not item.online or not item.form:
            yield f"事项“{item.name}”不能在线办理"
        yield from _answers(package, member, item)
        known = {m.id for m in item.materials}
        for material, _ in member.brings:
            if material not in known:
                yield f"事项“{item.name}”没有材料 {material}"
    if all(m.item in items for m in package.members):
        longest = chain_days(package.members, {c: i.promised_days for c, i in items.items()})
        if longest > package.promised_days:
            yield (
                f"承诺 {package.promised_days} 个工作日，短于最长一条办理链的 {longest} 个工作日"
            )


def _answers(package: Package, member: Member, item: ItemLike) -> Iterator[str]:
    situations = {s.id: s for s in item.situations}
    questions = {q.id: q for q in package.questions}
    for ident, told in member.answers:
        if ident not in situations:
            yield f"事项“{item.name}”没有情形 {ident}"
            continue
        source = told.removeprefix("=").strip()
        if told.startswith("="):
            if source not in questions:
                yield f"事项“{item.name}”的情形 {ident} 取自没有的问题 {source}"
            else:
                yield from _options(item, situations[ident], questions[source])
        elif not situations[ident].title_of(told):
            yield f"事项“{item.name}”的情形 {ident} 没有选项 {told}"
    for ident, situation in situations.items():
        if ident in questions and ident not in dict(member.answers):
            yield from _options(item, situation, questions[ident])


def _options(item: ItemLike, situation: SituationLike, question: Question) -> Iterator[str]:
    """Where a question's answers meet none of the situation's, the situation is asked by itself."""
    if not any(situation.title_of(o.id) for o in question.options):
        yield f"问题 {question.id} 的选项与事项“{item.name}”的情形 {situation.id} 全不相同"


def chain_days(members: Sequence[Member], days: Mapping[str, int]) -> int:
    """The working days of the longest chain of items that wait for one another; instant items take 1."""
    ends: dict[str, int] = {}
    left = list(members)
    while left:
        for member in list(left):
            waits = [a for a in member.after if a in days]
            if all(a in ends for a in waits):
                begins = max((ends[a] for a in waits), default=0)
                ends[member.item] = begins + max(1, days.get(member.item, 0))
                left.remove(member)
    return max(ends.values(), default=0)


__all__ = [
    "AUDIENCES",
    "ENTITY",
    "PERSON",
    "BadPackage",
    "ItemLike",
    "Member",
    "Option",
    "Package",
    "Question",
    "chain_days",
    "faults",
    "names_in",
    "read",
]
