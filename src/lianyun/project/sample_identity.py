"""Sample identities: a clerk at a counter, and a citizen who registers and is proven there.

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

    Returns the level that came of it.
    """
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import ANONYMOUS, actor_of

    known = identity.party_of_phone(PHONE)
    if known is not None:
        return {"level": identity.level_of(known)}
    with collection.lake().connect(read_only=True) as con:
        row = con.execute(
            "SELECT citizen_number, name FROM lake.library.population"
            " WHERE death_date IS NULL AND citizen_number IS NOT NULL AND name IS NOT NULL"
            " AND citizen_number[7:10] BETWEEN '1975' AND '1990'"
            " AND citizen_number NOT IN"
            " (SELECT citizen_number FROM lake.trusted.ga_residents ORDER BY 1 LIMIT 1)"
            " ORDER BY citizen_number LIMIT 1"
        ).fetchone()
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
    return {"level": account.level}
