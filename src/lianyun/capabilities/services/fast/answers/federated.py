"""Federated: rows from departments' own databases at call time, joined, masked, recorded (ADR 0017)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from django.conf import settings
from django.db import connection

from lianyun.capabilities.audit.api import hash_with_key
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.element import mask_value
from lianyun.lake.federate import (
    BadValue,
    Condition,
    Federation,
    Health,
    Part,
    Place,
    Question,
    Rows,
    SourceDown,
)
from lianyun.lake.shelves import LakeError

from ... import actions, rules
from .. import guards
from ..calls import Call, Refused, Reply
from .grounds import Grounds

if TYPE_CHECKING:
    from ..plane import Plane
    from ..rights import Right

log = logging.getLogger("lianyun.services")

THREADS = 64
CENTRE = "platform"
"""The place of the platform's own published libraries."""


@cache
def federation() -> Federation:
    """The sources that this process asks; their breakers are shared by all services."""
    return Federation(told=_tell)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="federated call")


def _tell(health: Health) -> None:
    """A source failed for good or is back: into the ledger, where pages read it."""
    try:
        actions.note_source(
            name=health.place,
            title=health.title,
            well=health.state == "closed",
            reason=health.reason,
            by=SYSTEM,
        )
    except Exception:
        log.exception("the state of source %s cannot be recorded", health.place)
    finally:
        connection.close()


def _parts(design: dict[str, Any]) -> list[Part]:
    """The parts of a design with their places; raises UserError where a source is no longer there."""
    try:
        return [_part(one, float(design.get("seconds") or 5)) for one in design.get("parts", ())]
    finally:
        connection.close()


@dataclass(frozen=True)
class Consent:
    """What a provider's consent says at the moment of a call: masks by output, conditions on its table."""

    masks: dict[str, str]
    conditions: list[Condition]
    nothing: bool = False
    """Whether it is narrowed to a column that is not there: then to nothing, never to everything."""


def _consent_sql(number: int, provider: int, wanted: dict[str, Any]) -> str:
    """SQL of the terms of the newest consent in force for one part, or null."""
    fields = orjson.dumps(wanted["fields"]).decode().replace("'", "''")
    return (
        f"(SELECT c.terms FROM kernel_grant c WHERE c.resource_id = {int(wanted['resource'])} "
        f"AND c.grantee_id = {provider} AND c.kind = 'data' AND c.state = 'active' "
        "AND c.valid_from <= now() AND (c.valid_to IS NULL OR now() < c.valid_to) "
        f"AND c.terms->'operations' ? 'federated' AND c.terms->'fields' @> '{fields}'::jsonb "
        f"ORDER BY c.id DESC LIMIT 1) AS _c{number}"
    )


def _part(one: dict[str, Any], seconds: float) -> Part:
    kind, _, name = str(one["place"]).partition(":")
    if kind == "served":
        place = Place(CENTRE, one["title"], settings.DATABASE_URL, seconds=seconds, connections=8)
        table = f"served.{name}"
    else:
        source, url = collection.reach(name, SYSTEM)
        place = Place(source.ref, one["title"], url, seconds=seconds)
        table = str(source.options["table"])
    return Part(
        place,
        table,
        (),
        str(one.get("key") or ""),
        str(one.get("on") or ""),
        bool(one.get("optional", True)),
    )


async def make(grounds: Grounds) -> Federated | None:
    """The answer of a federated service; None without a look-up and a range."""
    made = Federated(grounds)
    if not made.lookups and not made.ranges:
        return None
    if not grounds.trial:
        try:
            made.parts = await asyncio.get_running_loop().run_in_executor(
                _threads(), _parts, grounds.design
            )
        except UserError as wrong:
            made.broken = str(wrong)
        if len(made.parts) > 1 and "consents" not in grounds.design:
            made.broken = "该服务尚未取得各提供部门的同意，请重新制作"
    return made


class Federated:
    """Rows by a look-up or a range of the first part, with what the other parts know of them.

    The grant is asked first, and in the same statement the consent of each provider whose table is
    asked; then the sources: a withdrawn right reaches no department. What a consent masks, narrows
    or demands (networks, signature) holds whatever the caller's own grant says.
    """

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.parts: list[Part] = []
        self.broken = ""
        columns, terms = grounds.columns, grounds.terms
        self.where: dict[str, tuple[int, str]] = {
            name: (int(part), str(column))
            for name, (part, column) in grounds.design.get("outputs", {}).items()
        }
        self.names = tuple(f for f in terms.get("fields", ()) if f in columns and f in self.where)
        masks = terms.get("masks") or {}
        self.masks = {n: masks[n] for n in self.names if masks.get(n, "none") != "none"}
        self.lookups = [
            way for way in grounds.lookups if all(self.where.get(c, (1, ""))[0] == 0 for c in way)
        ]
        self.ranges = [c for c in grounds.ranges(self.where) if self.where[c][0] == 0]
        self.citizens = [
            n
            for n, spec in columns.items()
            if spec.get("check") == "citizen_number" and n in self.where
        ]
        self.scope = {k: [str(v) for v in vs] for k, vs in (terms.get("scope") or {}).items()}
        self.consents = list(grounds.design.get("consents", ())) if not grounds.trial else []
        provider = int(grounds.design.get("provider") or 0)
        wanted = [_consent_sql(n, provider, c) for n, c in enumerate(self.consents)]
        self.in_force = f"SELECT {', '.join(['1', *wanted])} FROM {grounds.in_force} ok"

    async def __call__(self, plane: Plane, right: Right, call: Call) -> Reply:
        """One question to one or several departments."""
        call.operation = "federated"
        params = rules.split_query(call.query)
        asked = rules.asked_rows(self.lookups, self.ranges, call.key, params)
        if asked.cursor:
            raise rules.BadCall("联邦查询不分页，请缩小查询范围")
        if asked.values:
            text = asked.values[0] if len(asked.values) == 1 else "\x1f".join(asked.values)
            call.key_hash = hash_with_key(plane.key, text)
        await plane.leases.take(call)
        stands = await plane.ask(self.in_force, (right.grant_id,))
        if not stands:
            raise await plane.rights.refusal(right)
        if self.grounds.trial:
            row = {n: rules.sample_of(rules.Field(**self.grounds.columns[n])) for n in self.names}
            return self.shape(plane, right, call, self.names, [tuple(row.values())], asked.limit)
        if self.broken:
            raise Refused(503, "failed", "数据源暂时不可用", self.broken)
        consents = [self._consent(n, stands[0][n + 1], call) for n in range(len(self.consents))]
        masks = {name: mask for one in consents for name, mask in one.masks.items()}
        if closed := [c for c in asked.bounds if c in masks]:
            # A range over what is masked would tell it by halving.
            raise rules.BadCall(f"不能按 {'、'.join(closed)} 的范围查询")
        if any(c not in self.where for c in self.scope) or any(c.nothing for c in consents):
            # A row scope on a column that is not there must narrow to nothing, never to everything.
            return self.shape(plane, right, call, self.names, [], asked.limit)
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                _threads(), self.ask, asked, consents
            )
        except SourceDown as down:
            outcome = "overload" if down.kind == "busy" else "failed"
            raise Refused(503, outcome, str(down), "其他数据服务不受影响") from down
        except BadValue as wrong:
            raise Refused(400, "bad_request", "查询参数的值不合要求", str(wrong)) from wrong
        except LakeError as wrong:
            raise Refused(400, "bad_request", str(wrong)) from wrong
        return self.shape(plane, right, call, found.columns, found.rows, asked.limit, masks)

    def _consent(self, number: int, terms: str | None, call: Call) -> Consent:
        """What one provider's consent says; raises Refused without one, or where the call is not as it
        demands."""
        wanted = self.consents[number]
        if terms is None:
            raise Refused(
                403,
                "forbidden",
                f"“{wanted['title']}”的提供部门未同意用于此联邦查询，或同意已暂停、到期",
            )
        told = orjson.loads(terms)
        guard = guards.guard_of(told, [])
        guard.check_network(call)
        # One that is there has been verified: `credentials.identify` lets no wrong one pass.
        if guard.signed and not any(name == b"signature-input" for name, _ in call.headers):
            raise Refused(401, "signature", f"“{wanted['title']}”的提供部门要求对请求签名")
        items: dict[str, str] = wanted["items"]
        masked = {items[i]: m for i, m in (told.get("masks") or {}).items() if i in items}
        scope: dict[str, Any] = told.get("scope") or {}
        return Consent(
            {
                name: masked[column]
                for name, (part, column) in self.where.items()
                if part == wanted["part"] and masked.get(column, "none") != "none"
            },
            [
                Condition(items[i], "in", [str(v) for v in values])
                for i, values in scope.items()
                if i in items
            ],
            any(i not in items for i in scope),
        )

    def ask(self, asked: rules.Asked, consents: Sequence[Consent]) -> Rows:
        """Put the question to the sources; only the columns that are granted travel."""
        conditions = []
        way = self.lookups[asked.lookup] if asked.lookup is not None else []
        for name, value in zip(way, asked.values, strict=True):
            conditions.append(Condition(self.where[name][1], "=", value))
        for name, (low, high) in asked.bounds.items():
            for operator, end in ((">=", low), ("<=", high)):
                if end is not None:
                    conditions.append(Condition(self.where[name][1], operator, end))
        own: list[list[Condition]] = [[] for _ in self.parts]
        for name, values in self.scope.items():
            part, column = self.where[name]
            own[part].append(Condition(column, "in", values))
        # The caller's own scope asks for rows that lie in it; a provider's only hides what does not.
        strict = [bool(tests) for tests in own]
        for wanted, consent in zip(self.consents, consents, strict=True):
            own[wanted["part"]] += consent.conditions
        chosen = list(dict.fromkeys([*self.names, *self.citizens]))
        order = tuple(self.where[n][1] for n in asked.bounds)
        limit = asked.limit + 1
        if len(self.parts) == 1:
            question = Question(
                self.parts[0].place,
                self.parts[0].table,
                tuple(self.where[n][1] for n in chosen),
                (*own[0], *conditions),
                limit,
                order,
            )
            return Rows(tuple(chosen), federation().answer(question).rows)
        parts = [
            Part(p.place, p.table, (), p.key, p.on, p.optional and not must, tuple(tests))
            for p, tests, must in zip(self.parts, own, strict, strict=True)
        ]
        outputs = [(self.where[n][0], self.where[n][1], n) for n in chosen]
        return federation().join(parts, conditions, outputs, limit=limit, order=order)

    def shape(
        self,
        plane: Plane,
        right: Right,
        call: Call,
        columns: Sequence[str],
        found: Sequence[tuple[Any, ...]],
        limit: int,
        stricter: Mapping[str, str] | None = None,
    ) -> Reply:
        """Rows as JSON under the grant's masks and the providers' own; the call's record is filled in."""
        masks = {**self.masks, **(stricter or {})}
        at = {c: i for i, c in enumerate(columns)}
        rows: list[dict[str, Any]] = []
        others: list[str] = []
        for record in found[:limit]:
            row = {n: record[at[n]] for n in self.names}
            for name, mask in masks.items():
                if name in row:
                    row[name] = mask_value(mask, row[name])
            rows.append(row)
            for name in self.citizens:
                if name in at and record[at[name]]:
                    hashed = hash_with_key(plane.key, str(record[at[name]]))
                    if hashed != call.key_hash and hashed not in others:
                        others.append(hashed)
        call.others, call.rows = others or None, len(rows)
        if not rows:
            call.outcome = "empty"
        body: dict[str, Any] = {"resource": right.resource, "count": len(rows), "rows": rows}
        if len(found) > limit:
            body["more"] = True
        return Reply(200, orjson.dumps(body, default=str))


__all__ = ["Federated", "federation", "make"]
