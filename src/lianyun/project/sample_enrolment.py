"""Sample enrolment: an invented round with children of the sample city who have the age, up to its results.

Households, insurance, homes and permits are what the city's registers hold of these families;
schools are those of the register, places and days are invented. Everything goes through the doors
that officers and parents use, with the clock set back; a second call leaves it alone.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lianyun.project import sample_identity
from lianyun.project.sample_time import earlier

Tell = Callable[[float, str], None]
CLERK, HEAD, REVIEWER = "jy.zhaosheng", "jy.shending", "rs.fuhe"
PHONE = "13800000004"
CHILDREN, SCHOOLS = 150, 12
DAYS = {
    "register_from": -76, "register_until": -66, "check_until": -60, "choose_until": -20,
    "allot_on": -18, "confirm_until": 10, "again_until": 20, "again_confirm_until": 30,
}  # fmt: skip
FAMILIES = """
SELECT p.citizen_number, p.name, c.citizen_number, c.name, c.town_code
FROM lake.library.population c JOIN lake.trusted.ga_residents r ON r.citizen_number = c.citizen_number
JOIN lake.trusted.ga_residents h ON h.household_number = r.household_number
 AND h.relation_to_head IN ('02', '10')
JOIN lake.library.population p ON p.citizen_number = h.citizen_number AND p.death_date IS NULL
 AND p.household_number = c.household_number AND p.name IS NOT NULL
WHERE c.death_date IS NULL AND c.name IS NOT NULL AND r.relation_to_head IN ('20', '30')
 AND c.birth_date BETWEEN ? AND ? AND length(c.citizen_number) = 18
QUALIFY row_number() OVER (PARTITION BY c.citizen_number ORDER BY h.relation_to_head, h.citizen_number) = 1
 AND row_number() OVER (PARTITION BY p.citizen_number ORDER BY c.citizen_number) = 1
ORDER BY c.citizen_number LIMIT ?
"""


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """Accounts of who plans and allots, who signs, and who answers reviews; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    tell(0.95, "招生人员")
    told = {}
    for slug, name, username, role in (
        ("jy", "招生工作人员", CLERK, "enrolment_clerk"),
        ("jy", "招生负责人", HEAD, "enrolment_head"),
        ("rs", "积分复核人员", REVIEWER, "points_reviewer"),
    ):
        party = department(slug)
        if not get_user_model().objects.filter(username=username).exists():
            identity.create_account(
                party, name, username, [role],
                password=(home / "demo-password").read_text().strip(), must_change=False, by=SYSTEM,
            )  # fmt: skip
        told[username] = f"{party.short} {name}"
    return told


def run(home: Path, officer: Callable[[str], Any], tell: Tell) -> dict[str, Any]:
    """Walk a round to its published results; returns how many entered and were placed.

    What a city of another size or seed lacks ends the walk and is told; it does not end the demo.
    """
    from lianyun.kernel.access import Denied, UserError

    try:
        return _walk(home, officer, tell)
    except (Denied, UserError) as trouble:
        return {"entered": 0, "trouble": str(trouble)}


def _walk(home: Path, officer: Callable[[str], Any], tell: Tell) -> dict[str, Any]:
    from django.utils import timezone

    from lianyun.capabilities.enrolment import api as enrolment
    from lianyun.kernel.access import Denied, UserError

    year = timezone.localdate().year
    there = enrolment.round_of(f"{year}-primary-1")
    if there is not None:
        return {"entered": len(enrolment.entered(there, officer(CLERK)))}
    families = _families(year)
    listed = enrolment.schools("primary")
    if len(families) < 20 or not listed:
        return {"entered": 0}
    towns = [f[4] for f in families]
    # The invented register has several schools of one name; a parent must tell them apart.
    named = {s.name: s for s in listed}.values()
    near = sorted(named, key=lambda s: (-towns.count(s.town), s.code))[:SCHOOLS]
    chance = random.Random(2026)
    places = max(len(families) * 9 // (10 * len(near)), 1)
    schools = [(s.code, s.name, places, [s.town] if s.town else []) for s in near]
    now = timezone.now()
    days = {k: now + dt.timedelta(days=n) for k, n in DAYS.items()}
    clerk, head = officer(CLERK), officer(HEAD)
    told: dict[str, Any] = {"schools": len(near)}
    with earlier(75):
        tell(0.1, "招生方案")
        found = enrolment.make_round(
            "primary_points", year=year, title=f"{year} 年小学一年级积分入学（样例）", days=days,
            schools=schools, by=clerk,
        )  # fmt: skip
        enrolment.move(found, "prepare", "submit", by=clerk)
        enrolment.move(found, "approve", "approve", by=head)
        found.refresh_from_db()
        tell(0.2, "家长登记")
        online = _online(home, officer, found, families)
        entries = [enrolment.Entry(*f[:4]) for f in families if f[2] != online]
        tell(0.3, "现场登记")
        made, refused = enrolment.register_many(found, entries, seen=True, by=clerk)
        told |= {"entered": made + bool(online), "refused": len(refused)}
    tell(0.7, "公示")
    with earlier(59):
        enrolment.move(found, "register", "close", by=clerk)
        enrolment.move(found, "check", "publish", by=clerk)
    with earlier(40):
        enrolment.move(found, "object", "rank", by=clerk)
        sheets = []
        for row in enrolment.entered(found, clerk):
            wanted = sorted(schools, key=lambda s: (row.town not in s[3], chance.random()))[:4]
            if row.case_id is None:
                sheets.append((row.number, [s[0] for s in wanted]))
            else:
                codes = {s.code: s.pk for s in found.schools.all()}
                with suppress(Denied, UserError):
                    enrolment.choose(row, [codes[s[0]] for s in wanted], by=_actor(row.guardian))
        enrolment.choose_many(found, sheets, seen=True, by=clerk)
    tell(0.9, "派位")
    with earlier(19):
        enrolment.move(found, "choose", "close", by=clerk)
        allotted = enrolment.allot(found, by=clerk)
        enrolment.move(found, "allot", "submit", by=clerk)
    enrolment.move(found, "sign", "publish", by=head)
    told["placed"] = allotted.placed
    if online:
        told["accounts"] = {PHONE: "家长 已为孩子登记积分入学"}
    return told


def _actor(party: Any) -> Any:
    from lianyun.kernel.access import actor_of

    return actor_of(party)


def _families(year: int) -> list[tuple[str, ...]]:
    """Guardian's number and name, child's number, name and town: households of the city's register."""
    from lianyun.capabilities.collection import api as collection

    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            FAMILIES, [dt.date(year - 8, 9, 1), dt.date(year - 6, 8, 31), CHILDREN]
        ).fetchall()
    return [tuple(str(c or "") for c in row) for row in rows]


def _online(
    home: Path, officer: Callable[[str], Any], found: Any, families: list[tuple[str, ...]]
) -> str:
    """One parent with an account enters her child on the phone; the child's number, or nothing."""
    from lianyun.kernel.access import Denied, UserError

    for guardian, name, child, child_name, _ in families[:6]:
        try:
            if _enter(home, officer, found, (guardian, name, child, child_name)):
                return child
        except (Denied, UserError):  # who cannot be proven comes in person, as in life
            continue
    return ""


def _enter(
    home: Path, officer: Callable[[str], Any], found: Any, family: tuple[str, str, str, str]
) -> bool:
    from lianyun.capabilities.enrolment import api as enrolment
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import ANONYMOUS, actor_of

    guardian, name, child, child_name = family
    password = (home / "demo-password").read_text().strip()
    if identity.party_of_phone(PHONE) is not None:
        return False
    user = identity.register(PHONE, name, guardian, password, address="127.0.0.1", by=ANONYMOUS)
    assert user.party is not None
    visit = identity.go_to_counter(by=actor_of(user.party))
    account = identity.confirm_at_counter(
        visit.code, name, guardian, "居民身份证", True, by=officer(sample_identity.CLERK)
    )
    by = actor_of(account.party)
    agency = identity.add_child(child_name, child, by=by)
    if agency is None:
        return False
    row = enrolment.begin(found, agency.principal, by=by)
    application = hall.of_bundle(row.ref, by)[0]
    keys = [f"{a['kind']}:{a['name']}" for a in application.asked]
    enrolment.consent(row, keys=keys, by=by)
    application = hall.of_bundle(row.ref, by)[0]
    draft = forms.draft_of(application.draft, by)
    known = forms.answers(draft, by)
    told = {"phone": PHONE, "child_relation": "guardian", "truth": "1", "signed": name}
    for part in forms.form("points_enrolment").parts:
        posted = {
            f.id: [str(known.get(f.id) or told.get(f.id, ""))]
            for f in part.fields
            if known.get(f.id) or f.id in told
        }
        forms.save_part(draft, part.id, posted, 0, by=by)
    hall.verify(application, by=by)
    enrolment.file(row, by=by)
    return True


__all__ = ["open_doors", "run"]
