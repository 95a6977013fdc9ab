"""Sample packages: a child of the sample city's citizen is born: filed once, in the middle of its way.

Everything goes through the doors that citizens and officers use; a second call leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lianyun.project import sample_hall, sample_identity

Tell = Callable[[float, str], None]
PACKAGE, FIRST = "newborn", "newborn_registration"
ANSWERS = {"follow": "father", "married": "yes", "insure": "yes", "settled": "no"}
TOLD = {
    "phone": sample_identity.PHONE,
    "residence_address": "连云港市海州区苍梧路 6 号",
    "registered_address": "连云港市海州区苍梧路 6 号",
    "birth_certificate": "S320700126",
    "sex": "2",
    "birth_time": "2026-11-08T06:20",
    "nationality": "01",
    "mother_number": "320703199412250026",
    "truth": "1",
}


def file_one(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """File the newborn package and let the police grant the first item; the rest follows by itself.

    Returns how many items were filed, how many materials they asked for apart and together, and how
    many were handed in.
    """
    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.packages import api as packages
    from lianyun.kernel.access import SYSTEM, UserError, actor_of

    citizen = identity.party_of_phone(sample_identity.PHONE)
    offered = packages.plan(PACKAGE, ANSWERS)
    if citizen is None or offered is None:
        return {"items": 0}
    by = actor_of(citizen)
    if packages.mine(by):
        return {"items": 0}
    tell(0.1, "新生儿出生一件事")
    filing = packages.begin(PACKAGE, applicant=citizen, answers=ANSWERS, by=by)
    keys = {f"{a['kind']}:{a['name']}" for x in hall.of_bundle(filing.ref, by) for a in x.asked}
    packages.consent(filing, keys=sorted(keys), by=by)
    filing = packages.mine(by)[0]
    draft = forms.draft_of(filing.draft, by)
    known = forms.answers(draft, by)
    family = citizen.name[:1]
    told = {
        **TOLD,
        "newborn_name": f"{family}小满",
        "mother_name": "周晓云",
        "signed": citizen.name,
    }
    for part in forms.merged(draft.forms).parts:
        posted = {
            f.id: [str(known.get(f.id) or told.get(f.id) or "")]
            for f in part.fields
            if known.get(f.id) or f.id in told
        }
        forms.save_part(draft, part.id, posted, 0, by=by)
    tell(0.5, "材料")
    packages.carry(filing, by=by)
    packages.verify(filing, by=by)
    for at, wanted in enumerate(packages.materials(filing, by)):
        if wanted.lacking:
            picture = sample_hall.photo(60 + at)
            packages.hand_in(filing, wanted.id, f"{wanted.name}.png", picture, by=by)
    try:
        packages.file(filing, by=by)
    except UserError:  # what this citizen lacks keeps it a draft, as in life
        return {"items": 0}
    filing = packages.mine(by)[0]
    tell(0.8, "公安部门办理出生登记")
    first = next(a for a in hall.of_bundle(filing.ref, SYSTEM) if a.item == FIRST)
    assert first.case is not None
    for item in first.case.items.filter(done_at=None, step="settle"):
        desk.work(item, "grant", note="材料齐全，准予登记", by=officer("ga.shenpi"))
    return dict(filing.saved)


__all__ = ["file_one"]
