"""Rows: bus stops and residents of a small test city, and the way a dataset of them becomes open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.open_data import actions, api
from lianyun.capabilities.open_data.models import Opening
from lianyun.kernel import batch as batches
from lianyun.kernel.access import SYSTEM, Actor, Membership, actor_of
from lianyun.kernel.models import Batch, Party, Resource
from lianyun.lake.land import from_rows
from lianyun.lake.merge import load

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def number_of(born: dt.date, sequence: int) -> str:
    """A citizen number of the test city with a right check digit; odd sequences are men's."""
    body = f"320703{born:%Y%m%d}{sequence:03d}"
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


def put(dataset: str, rows: list[dict[str, Any]], mode: str = "full") -> Batch:
    """Load rows of a dataset through the checks of its catalogue, as a batch on record."""
    resource = Resource.objects.get(name=dataset)
    spec = collection.dataset_spec(resource)
    values = [[row.get(item.name) for item in spec.items] for row in rows]
    made = batches.start(resource, by=SYSTEM)
    source = from_rows([item.title for item in spec.items], list(enumerate(values, 2)))
    outcome = load(collection.lake(), spec, source, mode, made.code, allow_shrink=True)
    assert outcome.rejected == 0, outcome
    counted = {
        k: getattr(outcome, k)
        for k in ("landed", "accepted", "rejected", "inserted", "updated", "unchanged", "deleted")
    }
    batches.finish(made, counted, by=SYSTEM)
    return made


def stops(n: int = 60) -> list[dict[str, Any]]:
    """Bus stops; the name of the first looks like a formula."""
    return [
        {
            "stop_code": f"S{i:05d}",
            "stop_name": "=HYPERLINK(1)" if i == 0 else f"朝阳路{i}号站",
            "lines": f"{i % 9 + 1}路",
            "region_code": ("320703", "320706")[i % 2],
            "town_code": ("320703001", "320706001")[i % 2],
            "longitude": f"{119.2 + i / 1000:.6f}",
            "latitude": f"{34.6 + i / 1000:.6f}",
        }
        for i in range(n)
    ]


def residents(n: int = 400, odd: int = 3) -> list[dict[str, Any]]:
    """People in few groups, and `odd` ones that nobody resembles."""
    out = []
    for i in range(n + odd):
        old = i >= n
        born = dt.date(1931 if old else 1980 + i % 2, 1 + i % 12, 1 + i // 12 % 28)
        sequence = 100 + 2 * (i // 336) + i % 2
        out.append(
            {
                "citizen_number": number_of(born, sequence),
                "name": f"陈{'甲乙丙丁戊己庚辛'[i % 8]}{'子丑寅卯'[i % 4]}",
                "sex": "1" if sequence % 2 else "2",
                "nationality": "55" if old else "01",
                "birth_date": born.isoformat(),
                "education": "10" if old else "60",
                "marital_status": "20",
                "household_number": f"H{i:06d}",
                "region_code": "320703",
                "town_code": "320703001",
                "village_code": "320703001001",
                "update_time": "2026-05-01 08:00:00",
                "registered_address": f"连云港市连云区墟沟街道{i}号",
            }
        )
    return out


def open_one(
    dataset: str, officer: Callable[..., Actor], *, kind: str = "unconditional", **more: Any
) -> Opening:
    """Open a dataset through all its doors and publish it."""
    resource = Resource.objects.select_related("owner").get(name=dataset)
    slug = resource.owner.slug
    data = officer(slug, "data_officer")
    told = {
        "recipe": api.proposal(data, resource).recipe,
        "title": resource.title,
        "summary": resource.data.get("summary", ""),
        "kind": kind,
        "licence": "cc-by-4.0" if kind == "unconditional" else "city-conditional-1.0",
        "cycle": "每月",
    }
    found = api.propose(resource=resource, by=data, **(told | more))
    assert found.case is not None
    for who in (officer(slug, "share_head"), officer("sjj", "bureau_catalogue")):
        item = found.case.items.get(done_at=None)
        api.do_step(item=item, outcome="agree", by=who)
    assert actions.refresh(name=found.name, by=SYSTEM) is not None
    found.refresh_from_db()
    return found


def appoint(slug: str, *roles: str) -> Actor:
    """A new officer of a department with roles."""
    department = Party.objects.get(kind="department", slug=slug)
    person = Party.objects.create(kind="person", name=f"{department.short}干部")
    for role in roles:
        Membership.objects.create(party=person, department=department, role=role)
    return actor_of(person)
