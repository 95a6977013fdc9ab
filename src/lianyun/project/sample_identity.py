"""Sample identities: a clerk at a counter, and a citizen who is proven there and represents a firm.

Everything goes through the doors that clerks and citizens use; a second call leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]
CLERK = "zwb.chuangkou"
PHONE = "13800000001"


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """Open the counter clerk's account; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    tell(0.9, "窗口人员")
    if not get_user_model().objects.filter(username=CLERK).exists():
        identity.create_account(
            department("zwb"),
            "窗口人员",
            CLERK,
            ["counter_clerk"],
            password=(home / "demo-password").read_text().strip(),
            must_change=False,
            by=SYSTEM,
        )
    return {CLERK: "政务服务窗口 窗口人员"}


def prove_people(home: Path, officer: Callable[[str], Any], tell: Tell) -> dict[str, Any]:
    """A citizen registers by phone, is checked against the library, and is proven at the counter.

    Where the register holds his number as a firm's representative, he binds himself to it online.
    Returns the level and the firm.
    """
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import ANONYMOUS, actor_of
    from lianyun.kernel.element import credit_code_ok

    known = identity.party_of_phone(PHONE)
    if known is not None:
        return {"level": identity.level_of(known)}
    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            # Who drives, keeps a car and leads a firm has the most to show and the least to hand in.
            "SELECT p.citizen_number, p.name, min(e.credit_code) AS firm,"
            " count(v.plate_number) AS cars, count(d.file_number) AS drives"
            " FROM lake.library.population p LEFT JOIN lake.library.legal_entity e"
            " ON e.legal_rep_number = p.citizen_number AND e.status = '1'"
            " AND e.credit_code LIKE '91%'"
            " LEFT JOIN lake.trusted.ga_vehicles v ON v.owner_number = p.citizen_number"
            " LEFT JOIN lake.trusted.ga_drivers d"
            " ON d.citizen_number = p.citizen_number AND d.valid_to > current_date"
            " WHERE p.death_date IS NULL AND p.citizen_number IS NOT NULL AND p.name IS NOT NULL"
            " AND p.citizen_number[7:10] BETWEEN '1975' AND '1990'"
            " AND p.citizen_number NOT IN"
            " (SELECT citizen_number FROM lake.trusted.ga_residents ORDER BY 1 LIMIT 1)"
            " GROUP BY ALL ORDER BY (firm IS NOT NULL)::INTEGER + (cars > 0)::INTEGER"
            " + (drives > 0)::INTEGER DESC, firm IS NULL, p.citizen_number LIMIT 50"
        ).fetchall()
    # Some registers still hold numbers from before credit codes; such a firm cannot be bound.
    row = next((r for r in rows if r[2] is None or credit_code_ok(str(r[2]))), None)
    if row is None:
        return {"level": 0}
    number, name = str(row[0]), str(row[1])
    tell(0.3, "注册")
    password = (home / "demo-password").read_text().strip()
    user = identity.register(PHONE, name, number, password, address="127.0.0.1", by=ANONYMOUS)
    assert user.party is not None
    citizen = actor_of(user.party)
    tell(0.6, "两要素核验")
    identity.prove_elements(by=citizen)
    tell(0.8, "窗口核验")
    visit = identity.go_to_counter(by=citizen)
    account = identity.confirm_at_counter(
        visit.code, name, number, "居民身份证", True, by=officer(CLERK)
    )
    if row[2] is None:
        return {"level": account.level}
    tell(0.9, "法定代表人")
    agency = identity.claim_firm(str(row[2]), by=actor_of(account.party))
    firm = {"firm": agency.principal.name} if agency is not None else {}
    return {"level": account.level, **firm}
