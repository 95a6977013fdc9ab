"""Ground: why a material need not be handed in, and what proves it.

A material names its grounds in order; the first that holds frees it. Licences carry a grade of trust
(国办函〔2016〕108号, 电子证照可信等级 A to D): what each grade is good for is configuration
(`packs/core/hall.yaml`), because departments may be stricter.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

LICENCE, LIBRARY, SERVICE, EARLIER, FORERUN, PROMISE, UPLOAD = (
    "licence",
    "library",
    "service",
    "earlier",
    "forerun",
    "promise",
    "upload",
)
WORDS = {
    LICENCE: "持有电子证照",
    LIBRARY: "部门数据共享获取",
    SERVICE: "网络核验一致",
    EARLIER: "以前已经提交",
    FORERUN: "前面事项的办理结果",
    PROMISE: "告知承诺",
    UPLOAD: "上传",
}
"""The grounds of systems.md row 5 (能共享获取, 能网络核验, 前序已收取), licences and promises beside them;
FORERUN is what another item of the same bundle has given."""

FREE, NO, DOWN, REFUSED, WAITS, CHOICE = "free", "no", "down", "refused", "waits", "choice"
"""How a ground turned out: frees; does not hold; its source does not answer; the person refused the
source; waits for the form's values; the person may choose it (a promise)."""

FULL, CHECKED, NONE = "full", "checked", "none"
"""What a grade is good for: in place of the paper; the same, but the officer looks; nothing."""


@dataclass(frozen=True)
class Held:
    """A licence as the hall sees it: masked number, its standing in words, valid or not."""

    kind: str
    title: str
    identifier: str
    number: str
    grade: str
    issuer: str
    issued_on: dt.date
    ends_on: dt.date | None
    valid: bool
    standing: str


@dataclass(frozen=True)
class Row:
    """One row about the applicant (or the thing asked about): values, where from, as of when."""

    source: str
    title: str
    provider: str
    values: Mapping[str, Any]
    as_of: str = ""
    origins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Per field: (dataset's title and provider in words, date)."""


@dataclass(frozen=True)
class Before:
    """A document that the same applicant handed in for another case."""

    case: str
    item: str
    material: str
    on: dt.date
    ref: str
    digest: str


@dataclass(frozen=True)
class Evidence:
    """What proves a ground, as it may be shown: nothing in it is another person's, numbers masked."""

    what: str
    source: str
    ref: str
    as_of: str
    shown: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    grade: str = ""


@dataclass(frozen=True)
class Finding:
    """How one ground turned out for one material; `words` are what the person reads."""

    by: str
    how: str
    words: str
    evidence: Evidence | None = None
    look: bool = False
    """Whether the officer has to look at it (grade C, a promise)."""
    plain: Mapping[str, str] = field(default_factory=dict)
    """The values that stand in place of the material, kept under the vault for the officer."""


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of what was found, in a form that does not depend on the order of the columns."""
    text = json.dumps({k: _text(v) for k, v in values.items()}, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def by_licence(kind: str, title: str, held: Iterable[Held], grades: Mapping[str, str]) -> Finding:
    """The licence of this kind that is valid, of the best grade, the newest."""
    mine = [h for h in held if h.kind == kind]
    if not mine:
        return Finding(LICENCE, NO, f"没有查到您的{title}电子证照")
    good = [h for h in mine if h.valid]
    if not good:
        latest = max(mine, key=lambda h: h.issued_on)
        return Finding(LICENCE, NO, f"您的{title}{latest.standing}，不能使用")
    best = min(good, key=lambda h: (h.grade, -h.issued_on.toordinal()))
    use = grades.get(best.grade, NONE)
    if use == NONE:
        return Finding(
            LICENCE, NO, f"您的{title}可信等级为 {best.grade} 级，须另行提交原件或扫描件"
        )
    until = f"有效期至 {best.ends_on}" if best.ends_on else "长期有效"
    evidence = Evidence(
        what=best.title,
        source=best.issuer,
        ref=f"licence:{best.identifier}",
        as_of=best.issued_on.isoformat(),
        shown=(("证照编号", best.number), ("有效期", until), ("可信等级", f"{best.grade} 级")),
        digest=digest({"identifier": best.identifier, "number": best.number}),
        grade=best.grade,
    )
    return Finding(LICENCE, FREE, f"已持有{best.title}，{until}", evidence, look=use == CHECKED)


def by_row(
    row: Row | None,
    need: Sequence[str],
    titles: Mapping[str, str],
    masked: Mapping[str, str],
    source: str,
) -> Finding:
    """A shared row frees a material when every value that the material would prove is there.

    `masked` are the values as they may be shown; `titles` the fields' Chinese names.
    """
    if row is None:
        return Finding(LIBRARY, NO, f"{source}中没有查到您的记录")
    missing = [titles.get(n, n) for n in need if _text(row.values.get(n)) == ""]
    if missing:
        return Finding(LIBRARY, NO, f"{source}中您的{'、'.join(missing)}为空")
    plain = {n: _text(row.values[n]) for n in need}
    evidence = Evidence(
        what=row.title,
        source=row.provider,
        ref=row.source,
        as_of=row.as_of,
        shown=tuple((titles.get(n, n), masked.get(n, "***")) for n in need),
        digest=digest(plain),
    )
    return Finding(LIBRARY, FREE, f"已从{row.title}取得，无需提交", evidence, plain=plain)


def same(one: Any, other: Any) -> bool:
    """Whether two written values are one: width, case, blanks and a number's zeros do not matter."""
    a, b = (_plain(_text(v)) for v in (one, other))
    if a == b:
        return a != ""
    try:
        return Decimal(a) == Decimal(b)
    except InvalidOperation:
        return False


def by_verification(
    rows: Sequence[Row],
    match: Mapping[str, str],
    need: Mapping[str, str],
    titles: Mapping[str, str],
    source: str,
) -> Finding:
    """Whether a register says what the form says: 一致, 不一致 or 查无, and never any value of it.

    `match` are the values by which rows were looked up, `need` what the found row must say (column →
    the value of the form or of the applicant). A blank on our side cannot be verified.
    """
    if any(not _text(v) for v in (*match.values(), *need.values())):
        return Finding(SERVICE, WAITS, f"填完表单后与{source}核验")
    if not rows:
        asked = "、".join(titles.get(n, n) for n in match)
        return Finding(SERVICE, NO, f"在{source}中按{asked}没有查到记录，请核对填写内容")
    for row in rows:
        wrong = [titles.get(n, n) for n, v in need.items() if not same(row.values.get(n), v)]
        if not wrong:
            told = {**match, **need}
            names = "、".join(titles.get(n, n) for n in told)
            evidence = Evidence(
                what=row.title,
                source=row.provider,
                ref=row.source,
                as_of=row.as_of,
                shown=tuple((titles.get(n, n), "一致") for n in told),
                digest=digest(told),
            )
            return Finding(SERVICE, FREE, f"{names}与{source}核验一致", evidence)
    if len(rows) > 1:
        return Finding(SERVICE, NO, f"与{source}核验不一致，请核对或上传材料")
    return Finding(SERVICE, NO, f"{'、'.join(wrong)}与{source}核验不一致，请核对或上传材料")


def by_earlier(found: Before | None, days: int, today: dt.date) -> Finding:
    """A document of the same person in another case, not older than so many days."""
    if found is None or (today - found.on).days > days:
        return Finding(EARLIER, NO, "以前的办件中没有可以沿用的这份材料")
    evidence = Evidence(
        what=found.material,
        source=f"“{found.item}”办件 {found.case}",
        ref=found.ref,
        as_of=found.on.isoformat(),
        shown=(("提交日期", found.on.isoformat()),),
        digest=found.digest,
    )
    words = f"您已于 {found.on} 在“{found.item}”中提交，无需再交"
    return Finding(EARLIER, FREE, words, evidence)


def by_promise(text: str, accepted: dt.datetime | None) -> Finding:
    """A promise in place of a proof: only where the person accepts its very text."""
    if accepted is None:
        return Finding(PROMISE, CHOICE, "可以用书面承诺代替")
    on = accepted.date().isoformat()
    evidence = Evidence(
        what="告知承诺书",
        source="本人承诺",
        ref="",
        as_of=on,
        shown=(("承诺内容", text),),
        digest=digest({"text": text}),
    )
    return Finding(PROMISE, FREE, "已以告知承诺代替", evidence, look=True)


def judge(findings: Sequence[Finding]) -> Finding | None:
    """The first ground that frees; None where the material is still asked for."""
    return next((f for f in findings if f.how == FREE), None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "minutes")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value).strip()


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


__all__ = [
    "CHECKED",
    "CHOICE",
    "DOWN",
    "EARLIER",
    "FORERUN",
    "FREE",
    "FULL",
    "LIBRARY",
    "LICENCE",
    "NO",
    "NONE",
    "PROMISE",
    "REFUSED",
    "SERVICE",
    "UPLOAD",
    "WAITS",
    "WORDS",
    "Before",
    "Evidence",
    "Finding",
    "Held",
    "Row",
    "by_earlier",
    "by_licence",
    "by_promise",
    "by_row",
    "by_verification",
    "digest",
    "judge",
    "same",
]
