"""Opening: propose, approve, publish every new batch under the approved recipe, take down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import domain_choices
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Resource, WorkItem
from lianyun.lake import deidentify, release

from .. import adapters, rules
from ..models import Opening, Tally, Version
from ..queries import desk, site

PATH = "opening"
RUN = "lianyun.run"
JOBS = "lianyun.capabilities.open_data.jobs"


def _owner(*, resource: Resource, **_: Any) -> Any:
    return resource.owner


def _text(opening: Opening, columns: list[str]) -> str:
    theme = site.themes().get(opening.theme, {}).get("title", "")
    provider = opening.provider
    return " ".join(
        [
            opening.title,
            opening.name,
            opening.summary,
            provider.name,
            provider.short or "",
            theme,
            *columns,
        ]
    )


@action("open_data.propose", department=_owner)
def propose(
    *,
    resource: Resource,
    recipe: deidentify.Recipe,
    title: str,
    summary: str,
    kind: str,
    licence: str,
    cycle: str,
    theme: str = "",
    name: str = "",
    by: Actor,
) -> Opening:
    """Propose to open a dataset: measured now, refused above the limits, else a case for two approvers.

    Raises UserError with what stands in the way. A proposal that was returned or an opening that was
    taken down may be proposed anew under its name.
    """
    if kind not in dict(rules.KINDS):
        raise UserError("请选择无条件开放或有条件开放")
    if site.licence(licence)["kind"] != kind:
        raise UserError("许可与开放属性不一致")
    if cycle not in rules.CYCLE_DAYS:
        raise UserError("请选择更新承诺")
    if not title.strip():
        raise UserError("请填写名称")
    assessment = desk.assessed(by, resource, recipe)
    if assessment.refused:
        raise UserError(f"不能开放。{assessment.refused}")
    slug = name or resource.name
    found = Opening.objects.select_for_update().filter(name=slug).first()
    if found is not None and found.resource_id != resource.pk:
        raise UserError(f"标识“{slug}”已用于另一个数据集")
    if found is not None and found.stage in (rules.PROPOSED, rules.OPEN):
        raise UserError(f"“{found.title}”{found.get_stage_display()}，不必重复提出")
    opening = found or Opening(name=slug, resource=resource)
    opening.provider = resource.owner
    opening.title, opening.summary = title.strip()[:200], summary.strip()
    opening.kind, opening.licence, opening.cycle = kind, licence, cycle
    opening.theme = theme or desk.default_theme(by, resource.name)
    opening.recipe = adapters.recipe_dict(recipe)
    opening.risk = adapters.risk_dict(assessment.risk)
    opening.stage, opening.held = rules.PROPOSED, ""
    opening.current = None
    opening.proposed_at = timezone.now()
    opening.text = _text(opening, [i.title for i in desk.items(by, resource)])
    opening.save()
    opening.case = cases.open_case(
        PATH,
        title=f"开放“{opening.title}”",
        subject=opening,
        applicant=resource.owner,
        department=resource.owner,
        data={"dataset": resource.name, "kind": kind, "rows": assessment.risk.out},
        by=by,
    )
    opening.save(update_fields=["case"])
    record(
        "opening.proposed",
        opening,
        by=by,
        case=opening.case,
        data={
            "dataset": resource.name,
            "recipe": opening.recipe,
            "rows": assessment.risk.rows,
            "out": assessment.risk.out,
        },
    )
    return opening


@action(None)
def do_step(*, item: WorkItem, outcome: str, note: str = "", by: Actor) -> Case:
    """Do a step of an opening's case; its end opens the dataset (published by a job) or returns it."""
    case = cases.step(item, outcome, note=note, by=by)
    if case.state != Case.CLOSED:
        return case
    opening = Opening.objects.select_for_update(of=("self",)).filter(case=case).first()
    if opening is None:
        return case
    agreed = case.outcome == "opened"
    opening.stage = rules.OPEN if agreed else rules.RETURNED
    opening.save(update_fields=["stage"])
    if agreed:
        _later("refresh", name=opening.name)
    return case


def _later(job: str, **arguments: Any) -> None:
    app.configure_task(RUN, queue="jobs").defer(path=f"{JOBS}.{job}", arguments=arguments)


def refresh(*, name: str, by: Actor) -> Version | None:
    """Publish the newest batch of an opening's dataset under its approved recipe.

    Measured anew: where a limit is not kept any more, nothing is published, the version before stays
    and the reason is on record. None where there is nothing new. Safe to repeat; raises UserError.
    """
    by.require("open_data.release")
    with collection.lake().writer(f"open.{name}", timeout=600):
        opening = Opening.objects.select_related("resource__owner", "current", "case").get(
            name=name
        )
        if opening.stage != rules.OPEN:
            return None
        batch = desk.newest_batch(by, opening.resource)
        if batch is None:
            raise UserError("数据集还没有成功归集的批次，不能发布")
        if opening.current is not None and opening.current.batch_id == batch.pk:
            return None
        if opening.held and opening.risk.get("batch") == batch.code:
            return None
        recipe = adapters.recipe_of(opening.recipe)
        last = opening.versions.aggregate(n=Max("number"))["n"] or 0
        place = adapters.folder(opening.name, last + 1)
        judged: list[deidentify.Risk] = []

        def refuse(risk: deidentify.Risk) -> None:
            judged.append(risk)
            told = rules.refused(desk.judged(by, opening.resource, recipe, risk))
            if told:
                raise UserError(told)

        titles = _titles(opening, by)
        began = time.perf_counter()
        try:
            written = adapters.write(
                opening.resource.name,
                recipe,
                place,
                titles=titles,
                today=timezone.localdate(),
                refuse=refuse,
            )
        except UserError as error:
            risk = adapters.risk_dict(judged[-1]) if judged else {}
            _hold(opening=opening, reason=str(error), risk={**risk, "batch": batch.code}, by=by)
            return None
        return _put_up(
            opening=opening,
            batch=batch,
            number=last + 1,
            written=written,
            titles=titles,
            micros=int((time.perf_counter() - began) * 1e6),
            by=by,
        )


def _titles(opening: Opening, by: Actor) -> dict[str, str]:
    """Headings by name, each once."""
    out: dict[str, str] = {deidentify.COUNT: "记录数"}
    hows = {t["name"]: t["how"] for t in opening.recipe["treatments"]}
    for item in desk.items(by, opening.resource):
        title = rules.heading(item, hows.get(item.name, "keep"))
        out[item.name] = title if title not in out.values() else f"{title}（{item.name}）"
    return out


def _columns(
    opening: Opening, written: release.Written, titles: Mapping[str, str], by: Actor
) -> list[dict[str, Any]]:
    """The columns as the site tells of them, with names for the codes that occur."""
    declared = {i.name: i for i in desk.items(by, opening.resource)}
    notes = desk.definitions(by, opening.resource)
    steps = {t["name"]: t for t in opening.recipe["treatments"]}
    out = []
    for name, kind in written.columns:
        item = declared.get(name)
        domain = ""
        codes: dict[str, str] = {}
        if item is not None and (item.domain or item.place):
            domain = "region" if item.place else item.domain
            values = [v for v, _ in (written.profile.get(name) or {}).get("values") or []]
            known: dict[str, str] = {}
            if values:
                lists = ("divisions", "towns", "villages") if item.place else (item.domain,)
                wanted = lists[:1] if item.place and len(values[0]) <= 6 else lists
                for listed in wanted:
                    known |= dict(domain_choices(listed))
            codes = {v: known[v] for v in values if v in known}
        out.append(
            {
                "name": name,
                "title": titles.get(name, name),
                "type": kind,
                "note": "分组内的行数" if name == deidentify.COUNT else notes.get(name, ""),
                "how": steps.get(name, {}).get("how", "keep"),
                "domain": domain,
                "codes": codes,
            }
        )
    return out


@action("open_data.release")
def _hold(*, opening: Opening, reason: str, risk: dict[str, Any], by: Actor) -> None:
    row = Opening.objects.select_for_update().get(pk=opening.pk)
    row.held, row.risk = reason, {**row.risk, **risk}
    row.save(update_fields=["held", "risk"])
    record(
        "opening.held",
        row,
        by=by,
        case=row.case_id,
        data={
            "to": row.provider.ref,
            "title": row.title,
            "reason": reason,
            "batch": risk["batch"],
        },
    )


@action("open_data.release")
def _put_up(
    *,
    opening: Opening,
    batch: Any,
    number: int,
    written: release.Written,
    titles: Mapping[str, str],
    micros: int,
    by: Actor,
) -> Version:
    """Make a written version the one that stands on the site; the exchange is on record first."""
    now = timezone.now()
    row = Opening.objects.select_for_update().get(pk=opening.pk)
    if row.stage != rules.OPEN:
        raise UserError(f"“{row.title}”已经下架")
    version = Version.objects.create(
        opening=row,
        number=number,
        batch=batch,
        rows=written.rows,
        columns=_columns(opening, written, titles, by),
        files=written.files,
        risk=adapters.risk_dict(written.risk),
        preview=written.preview,
        profile=written.profile,
        points=written.points,
    )
    row.current, row.updated_at, row.held = version, now, ""
    row.opened_at = row.opened_at or now
    row.risk = version.risk
    row.text = _text(row, [c["title"] for c in version.columns])
    row.save(update_fields=["current", "updated_at", "opened_at", "held", "risk", "text"])
    audit.record_exchange(
        channel="open",
        grant_code="",
        resource=row.name,
        operation="file",
        version=number,
        by=by,
        purpose="公共数据开放",
        case_code=opening.case.code if opening.case else "",
        response_digest=bytes.fromhex(written.files["parquet"]["sha256"]),
        rows=written.rows,
        micros=micros,
        outcome="ok",
    )
    record(
        "opening.published",
        row,
        by=by,
        case=row.case_id,
        data={
            "version": number,
            "rows": written.rows,
            "suppressed": written.risk.suppressed,
            "batch": batch.code,
            "sha256": {k: f["sha256"] for k, f in written.files.items()},
        },
    )
    _later("sheet", name=row.name, number=number)
    return version


@action("open_data.release")
def add_sheet(*, name: str, number: int, by: Actor) -> Version | None:
    """Write the worksheet of a version and put it beside its other files; None where it is not due."""
    version = (
        Version.objects.select_for_update()
        .filter(opening__name=name, number=number, kept=True)
        .first()
    )
    if version is None or release.XLSX in version.files:
        record("opening.unchanged", f"opening:{name}", by=by, data={"version": number})
        return version
    made = adapters.write_sheet(adapters.folder(name, number), version.types, version.titles)
    if made is not None:
        version.files = {
            kind: made if kind == release.XLSX else version.files[kind]
            for kind in release.FORMATS
            if kind == release.XLSX or kind in version.files
        }
        version.save(update_fields=["files"])
    record(
        "opening.sheet_made",
        f"opening:{name}",
        by=by,
        data={"version": number, "sha256": made["sha256"] if made else None},
    )
    return version


@action("open_data.close", department=lambda *, opening, **_: opening.provider)
def close(*, opening: Opening, reason: str, by: Actor) -> None:
    """Take an opening down: gone from the site at once, its files removed. What was downloaded stays out."""
    if not reason.strip():
        raise UserError("请写明下架理由")
    row = Opening.objects.select_for_update().get(pk=opening.pk)
    if row.stage != rules.OPEN:
        raise UserError(f"“{row.title}”{row.get_stage_display()}，不能下架")
    row.stage, row.current = rules.CLOSED, None
    row.save(update_fields=["stage", "current"])
    row.versions.update(kept=False)
    record("opening.closed", row, by=by, case=row.case_id, data={"reason": reason})
    name = row.name
    transaction.on_commit(lambda: adapters.remove(adapters.base() / name))


def on_batch_finished(event: Event) -> None:
    """A new batch of an opened dataset: publish it again under the same recipe, or hold it back."""
    names = Opening.objects.filter(
        stage=rules.OPEN, resource__name=event.data.get("resource", "")
    ).values_list("name", flat=True)
    for name in names:
        refresh(name=name, by=SYSTEM)


def refresh_all(*, by: Actor) -> list[str]:
    """Publish every opening whose dataset has a newer batch; returns the names (a nightly look)."""
    done = []
    for name in Opening.objects.filter(stage=rules.OPEN).values_list("name", flat=True):
        try:
            if refresh(name=name, by=by) is not None:
                done.append(name)
        except UserError:
            continue
    return done


@action("open_data.release")
def sweep(*, by: Actor) -> int:
    """Take away files of versions that are too old to be kept, and counts of past windows."""
    keep = int(site.settings()["limits"]["versions"])
    gone = 0
    for opening in Opening.objects.all():
        old = opening.versions.filter(kept=True).order_by("-number")[keep:]
        for version in old:
            adapters.remove(adapters.folder(opening.name, version.number))
            version.kept = False
            version.save(update_fields=["kept"])
            gone += 1
    day = rules.window(timezone.now(), 86_400)
    for what, seconds in rules.WINDOWS.items():
        Tally.objects.filter(what=what, slot__lt=(day - 1) * 86_400 // seconds).delete()
    record("opening.swept", "system:open_data", by=by, data={"versions": gone})
    return gone
