"""Sample construction: a project of the citizen's firm, one stage approved and the next under way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

NAME = "港城智能仓储（一期）"


def build_one(officer: Callable[[str], Any]) -> dict[str, int]:
    """Register a project and take its stages as far as they go; returns how many stages of each kind."""
    from lianyun.capabilities.construction import api as construction
    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import Actor, Denied, UserError
    from lianyun.project import sample_identity

    told = {"projects": 0, "granted": 0, "open": 0}
    citizen = identity.party_of_phone(sample_identity.PHONE)
    firm = next((a.principal for a in identity.agencies(citizen)), None) if citizen else None
    if citizen is None or firm is None or construction.Project.objects.exists():
        return told
    by = Actor(party=citizen, behalf=firm)
    try:
        project = construction.register_project(
            owner=firm, name=NAME, kind="simple_low_risk", site="海州区新浦街道", by=by,
            investment=Decimal(2600), area=Decimal(4800),
        )  # fmt: skip
    except Denied:  # a mandate that does not cover it
        return told
    construction.ask_agent(project=project, by=by)
    construction.take_project(project=project, by=officer("zwb.zonghe"))
    project.refresh_from_db()
    construction.note_help(
        project=project, note="已协助核对设计方案和规划条件", by=officer("zwb.zonghe")
    )
    told["projects"] = 1
    for stage, whole in (("works", True), ("build", False)):
        try:
            case = _file(f"stage_{stage}", project.code, by)
        except (UserError, Denied):  # what this firm lacks stays a draft, as in life
            break
        construction.admit_all()
        if not case.items.filter(step="receive").exists():
            break
        _work(case, whole, officer)
        told["granted" if whole else "open"] += 1
    return told


def _file(item: str, code: str, by: Any) -> Any:
    """The owner's application for one stage."""
    from django.http import Http404

    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.project import sample_hall

    made = hall.begin(item, applicant=by.behalf, answers={"former": "have"}, by=by)
    row = hall.consent(made, keys=[], by=by)
    hall.look_up(row, by=by)
    row = type(made).objects.get(pk=made.pk)
    draft = forms.draft_of(row.draft, by)
    known = forms.answers(draft, by) | {"project_code": code}
    for part in forms.merged(draft.forms).parts:
        posted = {
            f.id: [v]
            for f in part.fields
            if (v := sample_hall._value(f, known.get(f.id), by.party.name))
        }
        with suppress(Http404):
            forms.save_part(draft, part.id, posted, 0, by=by)
    for at, state in enumerate(row.materials.filter(met=False, required=True)):
        hall.hand_in(row, state.material, (f"{state.name}.png", sample_hall.photo(at + 9)), by=by)
    return hall.file(type(made).objects.get(pk=made.pk), by=by)


def _work(case: Any, whole: bool, officer: Callable[[str], Any]) -> None:
    """Accepted at the window; where `whole`, agreed by every department, decided and given."""
    from lianyun.capabilities.desk import api as desk

    def do(step: str, outcome: str, who: str) -> None:
        for item in list(case.items.filter(step=step, done_at=None).select_related("department")):
            account = f"{item.department.slug}.{who}" if who != "window" else "zwb.zonghe"
            desk.work(item, outcome, note="符合要求", by=officer(account))

    do("receive", "accept", "window")
    if whole:
        do("opinion", "agree", "shenpi")
        do("decide", "grant", "pizhun")
        do("deliver", "deliver", "pizhun")


__all__ = ["build_one"]
