"""Sample hall: applications of the sample city: the citizen's own, and those that a village clerk files.

Everything goes through the doors that people use; a second call leaves it alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from django.http import Http404

from lianyun.project import sample_identity
from lianyun.project.sample_time import earlier

Tell = Callable[[float, str], None]
CLERK = "cun.bangban"
OWN = ("freight_permit", "unemployment_registration", "id_card_renewal")
HELPED = ("senior_allowance", "minimum_living_allowance", "temporary_relief", "id_card_renewal")
"""Items that the clerk files, in turn; those that no pack declares are left out."""
PEOPLE = 8
LONG_AGO = {1: 16, 9: 12}
"""Which of them were filed how many days ago: they are overdue, and the lamps show it."""


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """The account of a village clerk; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    tell(0.9, "帮办员")
    if not get_user_model().objects.filter(username=CLERK).exists():
        identity.create_account(
            department("zwb"), "村帮办员", CLERK, ["village_clerk"],
            password=(home / "demo-password").read_text().strip(), must_change=False, by=SYSTEM,
        )  # fmt: skip
    return {CLERK: "村（社区）帮办员"}


def apply_all(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """File applications for the sample city's people; returns how many, and how many materials were free."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.items import api as items
    from lianyun.kernel.access import SYSTEM, UserError

    told = {"filed": 0, "drafts": 0, "materials": 0, "freed": 0}
    if hall.applications(SYSTEM):
        return told
    work: list[tuple[str, str, str]] = [(code, "", "") for code in OWN if items.find(code)]
    helped = [code for code in HELPED if items.find(code)]
    work += [(helped[n % len(helped)], *who) for n, who in enumerate(_people())] if helped else []
    citizen = identity.party_of_phone(sample_identity.PHONE)
    for at, (code, number, name) in enumerate(work):
        tell(at / len(work), (name[:1] and f"{name[:1]}**") or "市民")
        item = items.find(code)
        assert item is not None
        back = LONG_AGO.get(at, 0)
        try:
            with earlier(back) if back else nullcontext():
                made, by = _begun(officer, citizen, item, (number, name), at)
                if made is None:
                    continue
                freed, needed = _finish(made, by, at)
        except UserError:
            # What this person lacks keeps the application a draft, as in life.
            told["drafts"] += 1
            continue
        told["filed"] += 1
        told["materials"] += needed
        told["freed"] += freed
    return told


def _begun(
    officer: Callable[[str], Any], citizen: Any, item: Any, who: tuple[str, str], at: int
) -> tuple[Any, Any]:
    """An application begun by the clerk for somebody, or by the sample citizen; (it, who acts)."""
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel.access import actor_of

    number, name = who
    if number:
        by = officer(CLERK)
        made = hall.help_begin(
            item.code, number=number, name=name, answers=_answers(item), seen=True, by=by
        )
        hall.confirm_on_paper(made, uploaded=("授权书.png", photo(at)), by=by)
        return made, by
    if citizen is None:
        return None, None
    by = actor_of(citizen)
    return hall.begin(item.code, applicant=citizen, answers=_answers(item), by=by), by


def _finish(made: Any, by: Any, at: int) -> tuple[int, int]:
    """Consent, look up, fill, verify, hand in what is still asked for, file."""
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall

    row = hall.consent(made, keys=[f"{a['kind']}:{a['name']}" for a in made.asked], by=by)
    hall.look_up(row, by=by)
    row = type(made).objects.get(pk=made.pk)
    draft = forms.draft_of(row.draft, by)
    known = forms.answers(draft, by)
    for part in forms.merged(draft.forms).parts:
        if part.repeat is None:
            posted = {
                f.id: [value]
                for f in part.fields
                if (value := _value(f, known.get(f.id), row.applicant.name))
            }
            with suppress(Http404):  # a part that these answers leave unasked
                forms.save_part(draft, part.id, posted, 0, by=by)
    hall.verify(row, by=by)
    for state in row.materials.filter(met=False, required=True):
        hall.hand_in(row, state.material, (f"{state.name}.png", photo(at)), by=by)
    hall.file(row, by=by)
    states = list(row.materials.filter(met=True))
    return sum(s.ground != "upload" for s in states), len(states)


def _answers(item: Any) -> dict[str, str]:
    """The first option of every question that is asked."""
    from lianyun.capabilities.items import api as items

    answers: dict[str, str] = {}
    while left := items.open_questions(item, answers):
        answers[left[0].id] = left[0].options[0].id
    return answers


def _value(field: Any, known: Any, name: str) -> str:
    """What somebody would put into a field; what is known already stays."""
    import datetime as dt

    from lianyun.kernel.element import domain_choices

    if known not in (None, "", []):
        return str(known)
    by_element = {
        "phone": "13800000009",
        "plate_number": "苏G5A8K6",
        "person_name": name,
        "residence_address": "连云港市海州区苍梧路 6 号",
        "registered_address": "连云港市海州区苍梧路 6 号",
    }
    if field.element in by_element:
        return by_element[field.element]
    match field.kind:
        case "choice" | "multi":
            options = list(field.options) or list(domain_choices(field.domain))
            return str(options[0][0]) if options else ""
        case "date":
            return (dt.date.today() + dt.timedelta(days=7)).isoformat()  # noqa: DTZ011
        case "number" | "money":
            return str(field.low or 1)
        case "declaration":
            return "1"
        case "signature":
            return name
        case "text":
            return "郁洲路至港城大道" if (field.high or 0) >= 20 else "样例"
        case _:
            return ""


def _people() -> list[tuple[str, str]]:
    """Numbers and names of people of the sample city who are old."""
    from lianyun.capabilities.collection import api as collection

    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            "SELECT citizen_number, name FROM lake.library.population WHERE death_date IS NULL"
            " AND name IS NOT NULL AND citizen_number[7:10] BETWEEN '1935' AND '1950'"
            f" ORDER BY citizen_number LIMIT {PEOPLE}"
        ).fetchall()
    return [(str(n), str(name)) for n, name in rows]


def photo(shade: int) -> bytes:
    """A small picture, each shade another file."""
    out = b"\x89PNG\r\n\x1a\n"
    row = b"\x00" + bytes([shade * 7 % 256, 120, 160]) * 24
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 24, 24, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 24)),
        (b"IEND", b""),
    ):
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(kind + data))
    return out
