"""Sample registration: a firm changes, one ends, one is published as ending; a residence permit is renewed.

Everything goes through the doors that people and officers use; a second call leaves it alone, and
where nobody fits in this city, the step says so and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.http import Http404

from lianyun.project import sample_hall, sample_identity

Tell = Callable[[float, str], None]
PERMIT = "residence_permit_renewal"


def move_firms(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """Change the sample citizen's firm, cancel another, publish a third, renew a permit; counts."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM, Denied, UserError, actor_of

    told = {"changed": 0, "cancelled": 0, "published": 0, "renewed": 0}
    if hall.applications(SYSTEM, item="company_change"):
        return told
    citizen = identity.party_of_phone(sample_identity.PHONE)
    own = next(
        (a.principal for a in identity.agencies(citizen) if a.principal.kind == "legal_entity"), None
    ) if citizen is not None else None  # fmt: skip
    if own is not None and citizen is not None:
        tell(0.1, "变更登记")
        scope = {"items": ["scope"], "new_scope": "一般项目：日用百货销售；茶具销售；信息咨询服务"}
        with suppress(UserError, Denied):
            told["changed"] += _done(
                "company_change", {"what": "scope"}, scope, own, actor_of(citizen)
            )
    heads = _heads()
    for at, (way, key) in enumerate((("normal", "cancelled"), ("simple", "published"))):
        if at >= len(heads):
            break
        tell(0.3 + at * 0.2, "注销登记")
        with suppress(UserError, Denied):
            firm, by = _represented(*heads[at], officer)
            form = {"cancel_reason": "resolved", "debts": "none", "staff": "none"}
            told[key] += _done("company_cancellation", {"way": way}, form, firm, by)
    tell(0.8, "居住证签注")
    for number, name in _permits():
        with suppress(UserError, Denied):
            told["renewed"] += _renewed(number, name, officer)
            break
    return told


def _heads() -> list[tuple[str, str, str]]:
    """Numbers, names and firms of two representatives whose registers know them."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.kernel.element import credit_code_ok

    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            "SELECT p.citizen_number, p.name, min(e.credit_code) FROM lake.library.population p"
            " JOIN lake.library.legal_entity e ON e.legal_rep_number = p.citizen_number"
            " AND e.legal_representative = p.name AND e.status = '1'"
            " JOIN lake.trusted.scjg_enterprises t ON t.credit_code = e.credit_code"
            " WHERE p.death_date IS NULL GROUP BY ALL HAVING count(*) = 1"
            " ORDER BY p.citizen_number DESC LIMIT 20"
        ).fetchall()
    return [(str(n), str(w), str(c)) for n, w, c in rows if credit_code_ok(str(c))][:2]


def _represented(
    number: str, name: str, code: str, officer: Callable[[str], Any]
) -> tuple[Any, Any]:
    """The firm, and its representative as he acts: proven at the counter, bound by the register."""
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import actor_of

    by = actor_of(identity.party_of_number(number, name=name))
    visit = identity.go_to_counter(by=by)
    account = identity.confirm_at_counter(
        visit.code, name, number, "居民身份证", True, by=officer(sample_identity.CLERK)
    )
    agency = identity.bind_representative(
        identity.go_to_counter(by=actor_of(account.party)).code, code, True,
        by=officer(sample_identity.CLERK),
    )  # fmt: skip
    return agency.principal, actor_of(account.party)


def _filed(row: Any, form: dict[str, Any], by: Any, number: int) -> Any:
    """Consent, fill in, hand in, file; the application with its case."""
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel.access import UserError

    row = hall.consent(row, keys=[f"{a['kind']}:{a['name']}" for a in row.asked], by=by)
    hall.look_up(row, by=by)
    row = type(row).objects.get(pk=row.pk)
    draft = forms.draft_of(row.draft, by)
    known = forms.answers(draft, by)
    name = by.party.name if row.relation != "helper" else row.applicant.name
    for part in forms.merged(draft.forms).parts:
        if part.repeat is None:
            posted = {
                f.id: value if isinstance(value, list) else [value]
                for f in part.fields
                if (value := form.get(f.id) or _value(f, known.get(f.id), name))
            }
            with suppress(Http404):  # a part that these answers leave unasked
                forms.save_part(draft, part.id, posted, 0, by=by)
    hall.verify(row, by=by)
    for state in row.materials.filter(met=False, required=True):
        try:
            hall.promise(row, state.material, accepted=True, by=by)
        except UserError:  # no promise stands for it
            picture = (f"{state.name}.png", sample_hall.photo(number))
            hall.hand_in(row, state.material, picture, by=by)
    hall.file(row, by=by)
    return type(row).objects.get(pk=row.pk)


def _value(field: Any, known: Any, name: str) -> str:
    if field.id == "resolved_on":
        import datetime as dt

        return (dt.date.today() - dt.timedelta(days=3)).isoformat()  # noqa: DTZ011
    return sample_hall._value(field, known, name)


def _done(item: str, answers: dict[str, str], form: dict[str, Any], firm: Any, by: Any) -> int:
    """File an application of a firm and carry it through the desks as far as it goes; 1 where it did."""
    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.registration import api as registration
    from lianyun.kernel.access import SYSTEM

    row = _filed(hall.begin(item, applicant=firm, answers=answers, by=by), form, by, 41)
    case = row.case
    for step, outcome in (("receive", "accept"), ("review", "grant"), ("decide", "grant")):
        work = case.items.filter(step=step, done_at=None).first()
        if work is None:  # a notice is published in between
            break
        desk.work(work, outcome, note="材料齐全，与登记库一致", by=SYSTEM)
        case.refresh_from_db()
    registration.move_on(by=SYSTEM)
    case.refresh_from_db()
    waits = case.items.filter(done_at=None).values_list("step", flat=True)
    return int(case.outcome == "granted" or "notice" in waits)


def _permits() -> list[tuple[str, str]]:
    """Holders of residence permits that end within a month."""
    from lianyun.capabilities.collection import api as collection

    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            "SELECT citizen_number, name FROM lake.trusted.ga_residence_permits"
            " WHERE valid_to BETWEEN current_date AND current_date + 30"
            " ORDER BY valid_to, citizen_number LIMIT 5"
        ).fetchall()
    return [(str(n), str(name)) for n, name in rows]


def _renewed(number: str, name: str, officer: Callable[[str], Any]) -> int:
    """A clerk helps somebody to renew a permit; decided by rule, delivered at once."""
    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel.access import SYSTEM

    by = officer(sample_hall.CLERK)
    row = hall.help_begin(PERMIT, number=number, name=name, answers={}, seen=True, by=by)
    hall.confirm_on_paper(row, uploaded=("授权书.png", sample_hall.photo(43)), by=by)
    row = _filed(type(row).objects.get(pk=row.pk), {"still_there": "yes"}, by, 44)
    desk.deliver_by_rule(row.case, by=SYSTEM)
    row.case.refresh_from_db()
    return int(row.case.outcome == "granted")


__all__ = ["move_firms"]
