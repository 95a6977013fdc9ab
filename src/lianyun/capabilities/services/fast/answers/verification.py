"""Verification: whether given values are those on file: 一致, 不一致 or 查无此人, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
import unicodedata
import weakref
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from lianyun.capabilities.audit.api import hash_with_key

from ... import rules
from ..calls import Call, Refused, Reply
from .grounds import Grounds, quoted, quoted_table

if TYPE_CHECKING:
    from ..plane import Plane
    from ..rights import Right

MOST_MATCHES = 20
CHINA = dt.timezone(dt.timedelta(hours=8))
_MISSED = """
SELECT max(m.tries) FROM services_miss m
WHERE m.party_id = $1 AND m.source_id = $2 AND m.day = $3 AND m.key_hash = ANY($4::text[])
"""
_MISS = """
INSERT INTO services_miss (party_id, source_id, day, key_hash, tries)
SELECT $1, $2, $3, h, 1 FROM unnest($4::text[]) h
ON CONFLICT (party_id, source_id, key_hash, day) DO UPDATE SET tries = services_miss.tries + 1
WHERE services_miss.tries < $5 RETURNING tries
"""


async def make(grounds: Grounds) -> Verification | None:
    """The answer of a verification service; None without a value that the grant allows."""
    one = Verification(grounds)
    return one if one.lookups and one.values else None


class Verification:
    """Compares; never gives a value. After so many 不一致 a day for one subject, no more is said of it.

    A subject is the person or firm that the rows found speak of, whatever it was looked up by; its
    tries are counted for the department that asks, over all its grants on the same data. Where a
    look-up names somebody and something else that is not so (查无此人), that is a try as well.
    """

    def __init__(self, grounds: Grounds) -> None:
        design = grounds.design
        self.grounds = grounds
        self.lookups = grounds.known_lookups()
        self.values = [v for v in design.get("values", ()) if v in grounds.fields]
        self.least = int(design.get("least") or 1)
        self.tell = bool(design.get("tell"))
        self.tries = int(design.get("tries") or rules.TRIES)
        unit = grounds.unit
        self.subject = (unit,) if unit else grounds.key
        self.statements = [self._statement(way) for way in self.lookups]
        _, self.scope_values = grounds.scope(6)
        # One subject at a time, so that guesses sent at once are counted one by one.
        self.locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def _statement(self, way: list[str]) -> str:
        told = ", ".join(f"{quoted(c)}::text AS _s{n}" for n, c in enumerate(self.subject))
        chosen = ", ".join(f"{quoted(c)} AS {quoted(c)}" for c in self.values)
        tests = [self.grounds.test(c, at) for at, c in enumerate(way, start=6)]
        scope, _ = self.grounds.scope(6 + len(way))
        inner = (
            f"SELECT true AS _there{', ' + told if told else ''}, {chosen} "
            f"FROM {quoted_table(self.grounds.table)} "
            f"WHERE {' AND '.join([*tests, *scope])} LIMIT {MOST_MATCHES}"
        )
        missed = (
            "SELECT m.tries FROM services_miss m WHERE m.party_id = $2 AND m.source_id = $3 "
            "AND m.day = $4 AND m.key_hash = $5"
        )
        return (
            f"SELECT ({missed}) AS _missed, t.* FROM {self.grounds.in_force} ok "
            f"LEFT JOIN LATERAL ({inner}) t ON true"
        )

    def _subjects(
        self, plane: Plane, way: list[str], keys: list[str], rows: list[asyncpg.Record]
    ) -> list[str]:
        """Keyed hashes of whom a call tries: whom the rows speak of, or whom the look-up names."""
        if rows and self.subject:
            named = {
                "\x1f".join(str(r[f"_s{n}"]) for n in range(len(self.subject)))
                for r in rows
                if r["_s0"] is not None
            }
        elif rows:
            named = {"\x1f".join(keys)}
        else:
            # Of somebody alone who is not there, nothing is learnt.
            named = {
                k for c, k in zip(way, keys, strict=True) if len(way) > 1 and c in self.subject
            }
        return sorted(hash_with_key(plane.key, n) for n in named)

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """One verification."""
        call.operation = "verify"
        kind = next((v for n, v in call.headers if n == b"content-type"), b"")
        if kind.split(b";")[0].strip().lower() != b"application/json":
            raise Refused(415, "bad_request", "请求体应为 application/json")
        key, values = _parts(call.body)
        which, keys = rules.chosen_lookup(self.lookups, None, key)
        way = self.lookups[which]
        for column, value in zip(way, keys, strict=True):
            self.grounds.written(column, value)
        call.key_hash = hash_with_key(plane.key, keys[0] if len(keys) == 1 else "\x1f".join(keys))
        if strange := [v for v in values if v not in self.values]:
            raise rules.BadCall(f"不能核验 {'、'.join(strange)}")
        if len(values) < self.least:
            raise rules.BadCall(f"至少给出 {self.least} 个待核验的数据项")
        await plane.leases.take(call)
        day = dt.datetime.now(CHINA).date()
        whose = (right.grantee_id, right.source, day)
        async with self._lock(call.key_hash):
            arguments = (right.grant_id, *whose, call.key_hash, *keys, *self.scope_values)
            try:
                found = await plane.ask(self.statements[which], arguments)
            except asyncpg.DataError as wrong:
                raise Refused(400, "bad_request", "查询参数的值不合要求") from wrong
            if not found:
                raise await plane.rights.refusal(right)
            rows = [r for r in found if r["_there"] is not None]
            subjects = [] if self.grounds.trial else self._subjects(plane, way, keys, rows)
            if not subjects or subjects == [call.key_hash]:
                missed = found[0]["_missed"] if subjects else 0
                return await self._say(plane, right, call, rows, values, whose, subjects, missed)
            # Asked for in another way than by the number itself: its tries are read by their own.
            async with self._lock(subjects[0]):
                ((missed,),) = await plane.ask(_MISSED, (*whose, subjects))
                return await self._say(plane, right, call, rows, values, whose, subjects, missed)

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self.locks.get(name)
        if lock is None:
            lock = self.locks[name] = asyncio.Lock()
        return lock

    async def _say(
        self,
        plane: Plane,
        right: Right,
        call: Call,
        rows: Sequence[asyncpg.Record],
        values: Mapping[str, str],
        whose: tuple[int, int, dt.date],
        subjects: list[str],
        missed: int | None,
    ) -> Reply:
        """The word that fits; what is not so is counted before it is said."""
        if (missed or 0) >= self.tries:
            raise self._enough()
        differ = ([n for n, v in values.items() if not same(v, row[n])] for row in rows)
        wrong = min(differ, key=len, default=None)
        if wrong != [] and subjects:
            counted = await plane.ask(_MISS, (*whose, subjects, self.tries))
            if len(counted) < len(subjects):
                raise self._enough()
        if wrong is None:
            call.outcome = "empty"
            return self._reply(right, "unknown", [])
        call.rows = 1
        return self._reply(right, "differ" if wrong else "match", wrong)

    def _enough(self) -> Refused:
        return Refused(
            429,
            "quota",
            "对同一对象核验不一致的次数过多",
            f"同一对象每日最多 {self.tries} 次（本部门各授权、各种查询条件合计），请核对后明日再试",
            retry=_until_tomorrow(),
        )

    def _reply(self, right: Right, result: str, wrong: list[str]) -> Reply:
        body: dict[str, Any] = {"resource": right.resource, "result": rules.RESULTS[result]}
        if self.tell and wrong:
            body["differs"] = wrong
        return Reply(200, orjson.dumps(body))


def _until_tomorrow() -> int:
    """Seconds until the next day in China."""
    now = dt.datetime.now(CHINA)
    return max(1, 86_400 - (now.hour * 3600 + now.minute * 60 + now.second))


def _parts(raw: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Key and values of a request's body; raises BadCall."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        raise rules.BadCall("请求体应为 JSON") from wrong
    if not isinstance(body, dict) or set(body) != {"key", "values"}:
        raise rules.BadCall("请求体应含 key 与 values 两部分")
    out: list[dict[str, str]] = []
    for part, title in (("key", "key"), ("values", "values")):
        given = body[part]
        if not isinstance(given, dict) or not given or len(given) > 50:
            raise rules.BadCall(f"{title} 应为数据项标识与取值")
        clean: dict[str, str] = {}
        for name, value in given.items():
            if not isinstance(value, str) or not value.strip() or len(value) > 200:
                raise rules.BadCall(f"{title} 中 {name[:60]} 的取值应为 1 至 200 字的文本")
            if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
                raise rules.BadCall(f"{title} 中 {name[:60]} 的取值含有控制字符")
            clean[name] = value.strip()
        out.append(clean)
    return out[0], out[1]


def _plain(text: str) -> str:
    """Text as it is compared: full and half width, case, blanks and name dots make no difference."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and c not in "·•・‧.")


def same(given: str, held: Any) -> bool:
    """Whether what the caller says is what stands on file."""
    if held is None:
        return False
    if isinstance(held, bool):
        words = {True: ("1", "true", "是"), False: ("0", "false", "否")}
        return _plain(given) in words[held]
    if isinstance(held, dt.datetime | dt.date):
        digits = "".join(c for c in given if c.isdecimal() and c.isascii())
        form = "%Y%m%d%H%M%S" if isinstance(held, dt.datetime) else "%Y%m%d"
        return digits == held.strftime(form)
    if isinstance(held, int | float | Decimal):
        try:
            return Decimal(_number(given)) == Decimal(str(held))
        except InvalidOperation:
            return False
    return _plain(given) == _plain(str(held))


def _number(given: str) -> str:
    return unicodedata.normalize("NFKC", given).replace(",", "").strip()


__all__ = ["Verification", "make", "same"]
