"""Inference: a proposal of items (name, element type, format, check, key) from a file's rows."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from .check import NO_VALUE, SPACES, ItemCheck, citizen_check_digit
from .digits import CREDIT_ALPHABET, CREDIT_WEIGHTS
from .land import Source, normal_title, open_file
from .shelves import load_extension, open_duckdb

KNOWN = {
    "公民身份号码": "citizen_number",
    "身份证号": "citizen_number",
    "身份证号码": "citizen_number",
    "公民身份证号": "citizen_number",
    "证件号码": "document_number",
    "统一社会信用代码": "credit_code",
    "姓名": "name",
    "性别": "sex",
    "民族": "nationality",
    "出生日期": "birth_date",
    "住址": "address",
    "地址": "address",
    "联系电话": "phone",
    "手机号码": "mobile",
    "手机号": "mobile",
    "企业名称": "enterprise_name",
    "单位名称": "organisation_name",
    "法定代表人": "legal_representative",
    "法人代表": "legal_representative",
    "行政区划代码": "region_code",
    "序号": "serial_number",
    "备注": "remarks",
    "注册资金": "registered_capital",
    "注册资本": "registered_capital",
    "注册地址": "registered_address",
    "经营范围": "business_scope",
    "成立日期": "founded_on",
    "注册日期": "registered_on",
}
RESERVED = frozenset({"order", "group", "select", "from", "where", "table", "rowid"})
PROFILE_ROWS = 2_000_000


@dataclass(frozen=True)
class Proposal:
    """One proposed item; `key` marks the candidate key, `filled` the share of rows with a value."""

    name: str
    title: str
    type: str
    format: str
    check: str | None = None
    required: bool = False
    key: bool = False
    filled: float = 0.0
    distinct: int = 0
    sample: tuple[str, ...] = ()

    def item(self) -> ItemCheck:
        """The proposal as a checkable item."""
        return ItemCheck(
            self.name, self.title, self.type, self.format or None, self.required, check=self.check
        )

    def as_dict(self) -> dict[str, Any]:
        """The proposal as plain data for JSON or YAML."""
        return asdict(self)


@cache
def ascii_name(title: str) -> str:
    """An item name for a title: a known English word, the ASCII spelling, or pinyin."""
    from pypinyin import lazy_pinyin

    plain = normal_title(title, keep_brackets=False) or normal_title(title)
    if plain in KNOWN:
        return KNOWN[plain]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", title.strip())
    if spaced.isascii():
        name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
    else:
        short = re.sub(r"[(（].*?[)）]", "", title) or title
        syllables = [s for s in lazy_pinyin(short) if s.strip()]
        parts = [re.sub(r"[^a-z0-9]+", "_", s.lower()).strip("_") for s in syllables]
        parts = [p for p in parts if p]
        name = "_".join(parts) if len(parts) <= 6 else "".join(p[0] for p in parts)
    name = re.sub(r"_+", "_", name)[:50].strip("_")
    if not name or not name[0].isalpha():
        name = f"c_{name}".rstrip("_")
    return f"{name}_value" if name in RESERVED else name


def unique_names(titles: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """One name per title, all different and different from `taken`."""
    used = set(taken)
    out = []
    for title in titles:
        base = ascii_name(title)
        name, number = base, 2
        while name in used:
            name, number = f"{base}_{number}", number + 1
        used.add(name)
        out.append(name)
    return out


def infer(path: str | Path, sheet: str | None = None) -> list[Proposal]:
    """Proposes a dataset's items from a file of any kind the lake reads."""
    return propose(open_file(path, sheet))


def propose(source: Source, limit: int = PROFILE_ROWS) -> list[Proposal]:
    """Proposes items from a source's first `limit` rows.

    A kind is proposed when at least 98 % of the values are of it, so that a few bad rows do not
    turn a date into text. Where the values merely look alike, text is the safe proposal.
    """
    names = unique_names(source.columns)
    con = open_duckdb()
    try:
        load_extension(con, "icu")
        rows = source.reader()
        con.register("landing", rows)
        con.execute(
            f"CREATE TEMP TABLE seen AS SELECT * FROM landing WHERE _problem IS NULL LIMIT {int(limit)}"
        )
        counted = con.execute("SELECT count(*) FROM seen").fetchone()
        total = int(counted[0]) if counted else 0
        found = [
            _propose_one(con, f"c{i}", name, title, total, source.excel)
            for i, (name, title) in enumerate(zip(names, source.columns, strict=True))
        ]
    finally:
        con.close()
    return _with_key(found, total)


def _propose_one(
    con: duckdb.DuckDBPyConnection, column: str, name: str, title: str, total: int, excel: bool
) -> Proposal:
    spaces = SPACES.replace("'", "''")
    v = f"nullif(trim({column}, '{spaces}'), '')"
    tokens = ", ".join(f"'{t}'" for t in NO_VALUE)
    shape17 = "TRY_CAST(substr(v, 1, 17) AS BIGINT)"
    head = f"""
        SELECT count(*), count(DISTINCT v), max(length(v)), min(length(v)),
          count(*) FILTER (regexp_full_match(v, '[+-]?(0|[1-9][0-9]{{0,17}})')),
          count(*) FILTER (regexp_full_match(v, '[+-]?(0|[1-9][0-9]{{0,17}})(\\.[0-9]+)?|[+-]?[1-9][0-9]{{0,2}}(,[0-9]{{3}})+(\\.[0-9]+)?')),
          max(length(split_part(v, '.', 2))) FILTER (regexp_full_match(v, '[+-]?[0-9,]+\\.[0-9]+')),
          max(length(split_part(replace(v, ',', ''), '.', 1))) FILTER (regexp_full_match(v, '[+-]?[0-9,]+(\\.[0-9]+)?')),
          count(*) FILTER (TRY_CAST(v AS DATE) IS NOT NULL AND regexp_full_match(v, '(1[6-9]|20|99)[0-9]{{2}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}')
            OR regexp_full_match(v, '(19|20)[0-9]{{2}}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])')
            OR regexp_full_match(v, '(19|20)[0-9]{{2}}[年.][0-9]{{1,2}}[月.][0-9]{{1,2}}日?')),
          count(*) FILTER (regexp_full_match(v, '(19|20)[0-9]{{2}}[-/年][0-9]{{1,2}}[-/月][0-9]{{1,2}}日?[ T]?[0-9]{{1,2}}[:时][0-9]{{1,2}}([:分][0-9]{{1,2}}秒?)?(\\.[0-9]+)?(Z|[+-][0-9:]{{2,6}})?|(19|20)[0-9]{{12}}')),
          count(*) FILTER (regexp_full_match(upper(v), '[1-9][0-9]{{5}}(18|19|20)[0-9]{{9}}[0-9X]')),
          count(*) FILTER (regexp_full_match(upper(v), '[1-9][0-9]{{5}}(18|19|20)[0-9]{{9}}[0-9X]') AND substr(upper(v), 18, 1) = {citizen_check_digit(shape17)}),
          count(*) FILTER (regexp_full_match(upper(v), '[0-9A-HJ-NPQRTUWXY]{{2}}[0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}')),
          count(*) FILTER (regexp_full_match(v, '[1-9][0-9]{{5}}([0-9]{{3}}([0-9]{{3}})?)?') AND length(v) IN (6, 9, 12)),
          count(*) FILTER (regexp_full_match(v, '0[0-9]+')),
          count(*) FILTER (upper(v) IN ({tokens})),
          count(*) FILTER (v IN ('是', '否', '有', '无', 'true', 'false', 'TRUE', 'FALSE', 'Y', 'N')),
          count(*) FILTER (regexp_full_match(v, '[0-9]{{13}}|[0-9]{{15}}'))
        FROM (SELECT {v} AS v FROM seen) WHERE v IS NOT NULL"""
    row = con.execute(head).fetchone()
    assert row is not None
    (n, distinct, longest, shortest, integers, numbers, decimals, whole, dates, times) = row[:10]
    (citizens, right, credits, regions, zeros, nothing, logical, old) = row[10:]
    sample = tuple(
        r[0]
        for r in con.execute(
            f"SELECT v FROM (SELECT {v} AS v FROM seen) WHERE v IS NOT NULL GROUP BY v "
            "ORDER BY count(*) DESC, v LIMIT 5"
        ).fetchall()
    )
    filled = n / total if total else 0.0
    real = n - nothing

    def most(count: int, share: float = 0.98) -> bool:
        return real > 0 and count >= share * real

    base: dict[str, Any] = {
        "name": name,
        "title": title,
        "filled": round(filled, 4),
        "distinct": int(distinct),
        "sample": sample,
    }

    def made(type: str, format: str, check: str | None = None) -> Proposal:
        return Proposal(type=type, format=format, check=check, **base)

    named = normal_title(title)
    if real == 0:
        return made("C", "an..100")
    if most(citizens + (old if "身份" in named else 0), 0.8) and (
        right >= 0.5 * citizens or "身份" in named
    ):
        return made("C", "an..18", "citizen_number")
    if (
        most(credits + old, 0.8)
        and credits
        and (_credit_share(con, v) >= 0.5 or "信用代码" in named)
    ):
        return made("C", "an..18", "credit_code")
    if any(w in named for w in ("区划", "地区代码", "areacode")) and most(regions):
        return made("C", f"n..{longest}", "region")
    if most(times):
        return made("T", "")
    if most(dates):
        return made("D", "YYYYMMDD")
    if most(logical) and distinct <= 4:
        return made("L", "")
    codelike = zeros > 0 or re.search(r"(code|编码|代码|号码|编号|证号|电话|手机|邮编|id)$", named)
    if most(integers) and integers == numbers and not codelike and whole and whole <= 18:
        return made("N", f"n..{max(int(whole), 1)}" if whole > 9 else "n..9")
    if most(numbers) and not codelike and whole and whole + (decimals or 0) <= 30:
        scale = max(int(decimals or 0), 1)
        if scale > 10:
            return made("B", "")
        money = any(w in named for w in ("金额", "资金", "资本", "价", "费"))
        return made("Y" if money else "N", f"n..{max(int(whole) + scale + 2, 10)},{scale}")
    size = int(longest)
    if shortest == longest and size <= 40 and distinct > 20 and sample[0].isascii():
        return made("C", f"an..{size}")
    for bound in (10, 20, 50, 100, 200, 500, 1000, 2000, 4000):
        if size <= bound * 0.8:
            return made("C", f"an..{bound}")
    return made("M", "an..ul")


def _credit_share(con: duckdb.DuckDBPyConnection, value: str) -> float:
    """The share of 18-character values whose check character is right, on a sample."""
    rows = con.execute(
        f"SELECT upper(v) FROM (SELECT {value} AS v FROM seen) WHERE length(v) = 18 LIMIT 500"
    ).fetchall()
    good = 0
    for (text,) in rows:
        places = [CREDIT_ALPHABET.find(c) for c in text]
        if -1 not in places:
            total = sum(p * w for p, w in zip(places, CREDIT_WEIGHTS, strict=False))
            good += places[17] == (31 - total % 31) % 31
    return good / len(rows) if rows else 0.0


def _with_key(found: list[Proposal], total: int) -> list[Proposal]:
    """Marks the most credible single-column key: filled, distinct, an identifier by its kind."""

    def rank(p: Proposal) -> tuple[int, int]:
        named = normal_title(p.title)
        score = 0
        if p.check in ("citizen_number", "credit_code"):
            score = 4
        elif re.search(r"(^id|id$|编号|代码|证号|号码|code|工单号|主键|no$)", named):
            score = 3
        elif named in ("序号", "serialnumber"):
            score = 1
        elif p.type == "C" and not p.format.endswith("ul"):
            score = 2
        return score, p.distinct

    good = [
        p
        for p in found
        if total and p.filled >= 0.999 and p.distinct >= 0.999 * total and rank(p)[0]
    ]
    best = max(good, key=rank, default=None)
    out = []
    for p in found:
        is_key = best is not None and p.name == best.name
        required = p.filled >= 0.999 and (is_key or p.check is not None)
        out.append(
            Proposal(**{**asdict(p), "sample": p.sample, "key": is_key, "required": required})
        )
    return out


def today() -> datetime.date:
    """The day in China, where the data come from."""
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()


Progress = Callable[[float, str], None]
