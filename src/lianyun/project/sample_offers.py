"""Sample offers: rules and policies approved, three people who agree, a firm that claims.

Everything goes through the doors that officers and citizens use; a second call leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lianyun.project import sample_identity

Tell = Callable[[float, str], None]
NEIGHBOURS = {
    "13800000002": (
        "SELECT citizen_number, name FROM lake.library.population WHERE death_date IS NULL"
        " AND name IS NOT NULL AND household_number IS NOT NULL"
        " AND birth_date BETWEEN current_date - INTERVAL 90 YEAR AND current_date - INTERVAL 81 YEAR"
        " ORDER BY citizen_number LIMIT 1"
    ),
    "13800000003": (
        "SELECT p.citizen_number, p.name FROM lake.trusted.wj_births b JOIN lake.library.population p"
        " ON p.citizen_number = b.mother_number WHERE p.death_date IS NULL AND p.name IS NOT NULL"
        " AND b.issued_on >= current_date - 60 ORDER BY b.issued_on DESC, 1 LIMIT 1"
    ),
}
"""Telephones of two more people of the sample city, and how they are chosen: an old man, a mother."""


def speak(home: Path, officer: Callable[[str], Any], tell: Tell) -> dict[str, Any]:
    """Approve what the packs declare, let people choose, evaluate, claim; returns what came of it."""
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.offers import api as offers
    from lianyun.kernel.access import SYSTEM, Denied, UserError, actor_of

    offers.propose_declared(by=SYSTEM)
    rules = list(offers.Rule.objects.select_related("department", "case"))
    for number, rule in enumerate(rules):
        tell(number / len(rules) * 0.5, rule.title)
        if rule.code != "offer_disability_subsidy":  # one stays with its department, as in life
            _approve(rule, officer)
    people = [identity.party_of_phone(sample_identity.PHONE)]
    people += [_neighbour(phone, sql, home, officer) for phone, sql in NEIGHBOURS.items()]
    accounts = {}
    for phone, party in zip((sample_identity.PHONE, *NEIGHBOURS), people, strict=True):
        if party is None:
            continue
        tell(0.6, "开启主动服务")
        with suppress(Denied, UserError):  # who is not proven stays off
            if not offers.wants(actor_of(party), party):
                offers.switch_on(by=actor_of(party))
        if phone in NEIGHBOURS and offers.wants(actor_of(party), party):
            accounts[phone] = f"市民 {party.name}（已开启主动服务）"
    told: dict[str, Any] = {"rules": len(rules), "offered": 0, "claims": 0, "accounts": accounts}
    for subject in ("person", "entity"):
        tell(0.8, "按规则比对")
        told["offered"] += offers.evaluate(subject=subject, by=SYSTEM)["offered"]
    citizen = people[0]
    firm = next((a.principal for a in identity.agencies(citizen)), None) if citizen else None
    if citizen is None or firm is None or firm.kind == "person":
        return told
    agent = type(actor_of(citizen))(citizen, behalf=firm)
    # One policy is claimed and paid, one waits at its desk; the rest is for whoever looks.
    with suppress(Denied, UserError):  # a firm that the library does not know claims nothing
        for fit in [f for f in offers.look_at_policies(by=agent) if f.may_claim][:2]:
            claim = offers.claim(fit.policy.code, by=agent)
            told["claims"] += 1
            if told["claims"] == 1:
                _pay(claim, fit.policy.department, officer)
    return told


def _approve(rule: Any, officer: Callable[[str], Any]) -> None:
    from lianyun.capabilities.offers import api as offers

    own = rule.department.slug
    for username in (f"{own}.fuzeren", *_others(rule), "yunying"):
        by = officer(username)
        step = offers.step_for(by, rule.case)
        if step is None:
            continue
        final = step.step == "review"
        offers.work_rule(
            rule.case,
            step.step,
            "approve" if final else "agree",
            note="只读必要数据，结果只给本人，对本人没有不利" if final else "",
            by=by,
        )


def _others(rule: Any) -> list[str]:
    return [f"{slug}.fuzeren" for slug in rule.case.data["providers"]]


def _neighbour(phone: str, sql: str, home: Path, officer: Callable[[str], Any]) -> Any:
    """One more person with an account, proven at the counter; None where the city has none."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import ANONYMOUS, UserError, actor_of

    if (known := identity.party_of_phone(phone)) is not None:
        return known
    with collection.lake().connect(read_only=True) as con:
        row = con.execute(sql).fetchone()
    if row is None:
        return None
    password = (home / "demo-password").read_text().strip()
    try:
        user = identity.register(
            phone, str(row[1]), str(row[0]), password, address="127.0.0.1", by=ANONYMOUS
        )
        assert user.party is not None
        visit = identity.go_to_counter(by=actor_of(user.party))
        clerk = officer(sample_identity.CLERK)
        account = identity.confirm_at_counter(
            visit.code, str(row[1]), str(row[0]), "居民身份证", True, by=clerk
        )
    except UserError:
        return None
    return account.party


def _pay(claim: Any, department: str, officer: Callable[[str], Any]) -> None:
    from lianyun.capabilities.offers import api as offers

    for username, outcome in (
        (f"{department}.fuzeren", "approve"),
        (f"{department}.zhuanyuan", "paid"),
    ):
        by = officer(username)
        step = offers.step_for(by, claim.case)
        if step is not None:
            offers.work_claim(claim.case, step.step, outcome, note="", by=by)
            claim.case.refresh_from_db()
