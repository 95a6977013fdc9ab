"""Source: one place where the hall may look something up, and what it answered.

Reads only; who reads records it (`actions.looking`). A source that does not answer is Down, which
the person is told; one that answers without a row is an answer.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import duckdb
import psycopg

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.libraries import api as libraries
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Party
from lianyun.lake.shelves import LakeError, quote

from ..rules import grounds

USE = "hall.material"
KEY_TITLES = {"citizen_number": "公民身份号码", "credit_code": "统一社会信用代码"}
"""The columns by which libraries know people and firms; they are no fields of a library's own."""
MOST = 20
"""So many rows of a register are compared at most."""


class Down(Exception):
    """A source that does not answer now; the message (Chinese) says which."""


def seal(values: Mapping[str, str]) -> str:
    """Shared values as the database keeps them."""
    return audit.encrypt(json.dumps(dict(values), ensure_ascii=False).encode(), USE)


def unseal(text: str) -> dict[str, str]:
    """What `seal` was given."""
    found: dict[str, str] = json.loads(audit.decrypt(text, USE))
    return found


@cache
def terms() -> dict[str, Any]:
    """What the hall is told by packs/core/hall.yaml: grades of trust, days, its purpose."""
    return dict(packs.mapping("core", "hall.yaml"))


def as_applicant(applicant: Party) -> Actor:
    """The reader of what belongs to an applicant, under the consent given: the applicant himself."""
    return Actor(party=applicant)


# ---- licences ------------------------------------------------------------------------------


def held(applicant: Party, kinds: Sequence[str]) -> list[tuple[grounds.Held, dict[str, str]]]:
    """The applicant's licences of these kinds, masked, each with its elements in clear."""
    viewer = as_applicant(applicant)
    out = []
    try:
        rows = licences.held(applicant, viewer)
    except Denied:  # a party without a wallet holds nothing
        return []
    for row in rows:
        if row.kind not in kinds:
            continue
        kind = licences.find_kind(row.kind)
        if kind is None:
            continue
        state, words = licences.standing(row)
        number = kind.item(kind.number)
        masked = mask_value(number.mask, row.number) if number.personal else row.number
        if not number.personal and len(row.number) > 8:
            masked = row.number[:3] + "*" * (len(row.number) - 7) + row.number[-4:]
        out.append(
            (
                grounds.Held(
                    row.kind,
                    kind.title,
                    row.identifier,
                    str(masked),
                    row.trust,
                    str(row.grant.grantor or ""),
                    row.issued_on,
                    row.ends_on,
                    state == "valid",
                    words,
                ),
                licences.elements(row, viewer),
            )
        )
    return out


# ---- libraries and registers ---------------------------------------------------------------


def library(name: str, key: str) -> tuple[grounds.Row | None, dict[str, str], dict[str, str]]:
    """One holder's row of a library, its masked values and its fields' titles; raises Down."""
    try:
        one = libraries.rule(name)
        found = libraries.plain(SYSTEM, name, key)
    except (duckdb.Error, psycopg.Error, LakeError, OSError) as error:
        raise Down(f"{library_title(name)}暂时没有响应") from error
    except UserError as error:
        raise Down(str(error)) from error
    titles = KEY_TITLES | {f.name: f.title for f in one.fields}
    if found is None:
        return None, {}, titles
    dates = [day for _, _, day in found.origins.values() if day]
    providers = dict.fromkeys(who for _, who, _ in found.origins.values() if who)
    row = grounds.Row(
        f"library:{name}",
        found.title,
        "、".join(providers) or found.title,
        found.values,
        max(dates, default=""),
        {n: (f"{who} {found.title}".strip(), day) for n, (_, who, day) in found.origins.items()},
    )
    return row, {n: str(v) for n, v in found.masked.items() if v is not None}, titles


def library_title(name: str) -> str:
    """A library's Chinese name."""
    try:
        return libraries.rule(name).title
    except UserError:
        return name


@cache
def dataset(name: str) -> dict[str, Any]:
    """A dataset's declaration; an empty one where no pack declares it."""
    try:
        return dict(packs.declaration("datasets", name).data)
    except KeyError:
        return {}


def dataset_titles(name: str) -> dict[str, str]:
    """The columns' Chinese names."""
    return {i["name"]: str(i.get("title") or i["name"]) for i in dataset(name).get("items") or ()}


def register(name: str, match: Mapping[str, str]) -> list[grounds.Row]:
    """The rows of a department's register that have these values; raises Down.

    Values are compared as text; the statement takes them as parameters.
    """
    told = dataset(name)
    title = str(told.get("title") or name)
    try:
        with collection.lake().connect(read_only=True) as con:
            tests = " AND ".join(f"CAST({quote(c)} AS VARCHAR) = ?" for c in match)
            cursor = con.execute(
                f"SELECT * FROM lake.trusted.{quote(name)} WHERE {tests} LIMIT {MOST}",
                list(match.values()),
            )
            names = [d[0] for d in cursor.description or ()]
            rows = cursor.fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise Down(f"{title}尚未接入") from error  # no such table, or no such column in it
    except (duckdb.Error, psycopg.Error, LakeError, OSError) as error:
        raise Down(f"{title}暂时没有响应") from error
    provider = department_name(str(told.get("provider") or ""))
    out = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        day = values.get("update_time") or values.get("_loaded_at")
        out.append(
            grounds.Row(
                f"dataset:{name}",
                title,
                provider,
                {n: v for n, v in values.items() if not n.startswith("_")},
                day.date().isoformat() if isinstance(day, dt.datetime) else str(day or "")[:10],
            )
        )
    return out


@cache
def department_name(slug: str) -> str:
    """A department's short name."""
    found = Party.objects.filter(kind=Party.DEPARTMENT, slug=slug).first()
    return str(found) if found else slug


__all__ = [
    "Down",
    "as_applicant",
    "dataset",
    "dataset_titles",
    "department_name",
    "held",
    "library",
    "library_title",
    "register",
    "seal",
    "terms",
    "unseal",
]
