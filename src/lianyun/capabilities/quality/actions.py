"""Actions: every write of quality: findings, correction cases, reports of receivers, scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel import case as kernel_case
from lianyun.kernel.access import SYSTEM, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.indicator import measure
from lianyun.kernel.models import Batch, Case, Indicator, Party, Resource, WorkItem
from lianyun.lake import check
from lianyun.lake.shelves import LakeError

from . import queries, rules
from .models import Finding, Report

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

PATH = "correction"
SCORE = "quality.score"
LISTED = 5_000
"""Most rows whose hashes an announcement lists."""


# ---- what a batch showed -----------------------------------------------------------------


@action("quality.supervise")
def assess(*, batch: Batch, by: Actor) -> float | None:
    """Score a finished batch, keep its findings, and bring each failed rule to a correction case.

    Safe to call again: what was found before is not found twice. Returns the score.
    """
    resource = batch.resource
    counts = batch.outcome.get("rules") or {}
    warned = sum(int(c.get("warned", 0)) for c in counts.values())
    value = rules.score(batch.landed, batch.rejected, warned)
    batch.score = value
    batch.save(update_fields=["score"])
    titles = collection.rule_titles(resource)
    day = timezone.localdate(batch.finished_at)
    fresh: dict[str, list[Finding]] = {}
    for code, count in counts.items():
        failed, doubtful = int(count.get("failed", 0)), int(count.get("warned", 0))
        if not failed and not doubtful:
            continue
        finding, new = Finding.objects.get_or_create(
            batch=batch,
            rule=code[:160],
            defaults={
                "resource": resource,
                "title": titles.get(code, code)[:300],
                "item": code.partition(".")[0] if "." in code else "",
                "severity": "reject" if failed else "warn",
                "failed": failed or doubtful,
                "day": day,
            },
        )
        if new and rules.opens_case(code):
            fresh.setdefault(rules.group_of(finding.rule), []).append(finding)
    for group, found in fresh.items():
        case = _case_of(group, found, by)
        Finding.objects.filter(pk__in=[f.pk for f in found]).update(case=case)
    _note_healed(resource, batch, by)
    record(
        "quality.assessed",
        batch,
        by=by,
        data={"dataset": resource.name, "score": value, "findings": len(counts)},
    )
    _measure(resource, value, day)
    return value


def _case_of(group: str, found: list[Finding], by: Actor) -> Case:
    """The open correction case of this dataset and item (or rule); a new one where there is none.

    `found` are the findings of one batch that belong to it: every reason is listed in the case.
    """
    first = found[0]
    resource, batch = first.resource, first.batch
    codes = [f.rule for f in found]
    failed = (
        first.failed
        if len(found) == 1
        else queries.offending_rows(resource, batch, codes) or max(f.failed for f in found)
    )
    known = queries.open_case_of(resource, group)
    if known is not None:
        case = Case.objects.select_for_update().get(pk=known.pk)
        case.data = {
            **case.data,
            "rules": list(dict.fromkeys([*rules.codes_of(case.data), *codes])),
            "batches": list(dict.fromkeys([*case.data.get("batches", []), batch.code])),
            "failed": int(case.data.get("failed", 0)) + failed,
            "healed_by": None,
        }
        case.save(update_fields=["data"])
        record(
            "correction.extended",
            case,
            by=by,
            case=case,
            data={"batch": batch.code, "failed": failed, "rules": codes},
        )
        return case
    return kernel_case.open_case(
        PATH,
        title=f"{resource.title}：{rules.group_title([f.title for f in found])}"[:300],
        subject=resource,
        applicant=kernel_case.bureau(),
        department=resource.owner,
        data={
            "dataset": resource.name,
            "rule": first.rule,
            "rules": codes,
            "severity": "reject" if any(f.severity == "reject" for f in found) else "warn",
            "batches": [batch.code],
            "failed": failed,
        },
        once=rules.once_word(resource.name, group, queries.closed_cases(resource, group)),
        by=by,
    )


def _note_healed(resource: Resource, batch: Batch, by: Actor) -> None:
    """Mark the open cases whose offending rows this batch has brought right."""
    for case in queries.open_cases(resource, by):
        if batch.code in case.data.get("batches", []) or case.data.get("healed_by"):
            continue
        if queries.outstanding(case, by) == 0:
            case.data = {**case.data, "healed_by": batch.code}
            case.save(update_fields=["data"])
            record("correction.healed", case, by=by, case=case, data={"batch": batch.code})


def _indicator() -> None:
    Indicator.objects.get_or_create(
        code=SCORE,
        defaults={
            "title": "数据质量得分",
            "unit": "分",
            "definition": "无问题行数占落地行数的比例乘以 100；警告行按 0.3 行计",
            "target": 98,
        },
    )


def _measure(resource: Resource, value: float | None, day: dt.date) -> None:
    if value is None:
        return
    _indicator()
    measure(SCORE, value, day=day, dims=f"dataset:{resource.name}")
    owner = resource.owner
    mean = rules.mean(queries.latest_scores(owner))
    if mean is not None and owner.slug:
        measure(SCORE, mean, day=day, dims=f"department:{owner.slug}")
    city = rules.mean(queries.latest_scores())
    if city is not None:
        measure(SCORE, city, day=day)


@action("quality.supervise")
def measure_scores(*, by: Actor) -> int:
    """Measure every department's and the city's score for today; returns how many departments."""
    _indicator()
    day = timezone.localdate()
    number = 0
    for department in Party.objects.filter(kind=Party.DEPARTMENT).exclude(slug=None):
        value = rules.mean(queries.latest_scores(department))
        if value is not None:
            measure(SCORE, value, day=day, dims=f"department:{department.slug}")
            number += 1
    city = rules.mean(queries.latest_scores())
    if city is not None:
        measure(SCORE, city, day=day)
    record("quality.measured", "system:quality", by=by, data={"departments": number})
    return number


# ---- the correction desk -----------------------------------------------------------------


def _desk_of(*, item: WorkItem, **_: Any) -> Party | None:
    return item.department


@action("quality.correct", department=_desk_of)
def answer_correction(*, item: WorkItem, outcome: str, note: str = "", by: Actor) -> Case:
    """Close a correction: `corrected` (the rows must be right by now) or `upheld` (with reason).

    A report of a receiver has no rows to count: the note is its evidence. Raises UserError.
    """
    case = item.case
    if outcome == "corrected":
        report = queries.report_of(case, by)
        if report is None:
            left = queries.outstanding(case, by)
            if left:
                raise UserError(
                    f"还有 {left} 行没有更正，请先更正并重新归集，或选择“核实无误”并说明理由"
                )
        elif not note.strip():
            raise UserError("请写明更正情况（更正前后的值或更正批次）")
    return kernel_case.step(item, outcome, note=note, by=by)


@action("quality.supervise")
def tell_corrected(*, case: Case, by: Actor) -> None:
    """Announce that a case's rows are right now: `quality.corrected`, which sharing listens to."""
    keys = queries.offending_keys(case)
    report = queries.report_of(case, by)
    if report is not None and report.key:
        keys = [tuple(report.key.values())]
    dataset = str(case.data.get("dataset", ""))
    touched = queries.touched(case, keys, limit=LISTED + 1)
    record(
        "quality.corrected",
        case,
        by=by,
        case=case,
        data={
            "dataset": dataset,
            "case": case.code,
            "rule": case.data.get("rule"),
            "rules": rules.codes_of(case.data),
            "batches": case.data.get("batches", []),
            "batch": case.data.get("healed_by"),
            "since": case.opened_at,
            "rows": len(keys),
            "keys_hash": rules.keys_hash(keys),
            # Keyed as call records keep them, so that sharing finds who read these very rows; where
            # they are too many to list, everybody who read the dataset is told.
            "key_hashes": [audit.keyed_hash(text) for text in touched]
            if len(touched) <= LISTED
            else None,
        },
    )


@action("quality.report")
def report_error(
    *,
    dataset: str,
    key: Mapping[str, Any],
    item: str,
    told: str,
    expected: str = "",
    evidence: str = "",
    by: Actor,
) -> Case:
    """A receiver says that a value is wrong: a correction case at the provider, ten working days.

    `key` names the row by the dataset's key items; `expected` is what the value should be,
    `evidence` what shows it. The same cell is not reported twice while its case is open: the second
    reporter follows the first one's case. Raises UserError.
    """
    return _report(dataset, key, item, told, expected, evidence, None, by)


@action(None)
def report_own_error(
    *,
    dataset: str,
    citizen_number: str,
    key: Mapping[str, Any],
    item: str,
    told: str,
    expected: str,
    evidence: str = "",
    by: Actor,
) -> Case:
    """The person concerned says that a value of their own row is wrong (个人信息保护法 art. 46).

    The account must be tied to that citizen number and the row must be theirs, else Denied.
    """
    mine = by.party.data.get("citizen_hash") if by.party is not None else None
    if not mine or audit.keyed_hash(citizen_number) != mine:
        raise Denied("只能对本人的数据提出校核，请先完成实名关联")
    resource = queries.dataset(dataset, by)
    if not queries.owns_row(resource, key, citizen_number):
        raise Denied("只能对本人的数据提出校核")
    if not expected.strip():
        raise UserError("请填写正确的内容应当是什么")
    return _report(dataset, key, item, told, expected, evidence, by.party, by)


def _report(
    dataset: str,
    key: Mapping[str, Any],
    item: str,
    told: str,
    expected: str,
    evidence: str,
    person: Party | None,
    by: Actor,
) -> Case:
    resource = Resource.objects.filter(name=dataset).select_related("owner").first()
    if resource is None:
        raise UserError(f"没有名为“{dataset}”的数据集")
    if not told.strip():
        raise UserError("请写明哪里有误、依据是什么")
    declared = {i["name"]: i.get("title") or i["name"] for i in queries.items_of(resource)}
    if item not in declared:
        raise UserError(f"“{resource.title}”没有数据项“{item}”")
    wanted = queries.key_of(resource)
    missing = [declared.get(name, name) for name in wanted if not str(key.get(name) or "").strip()]
    if missing:
        raise UserError(f"请填写{'、'.join(missing)}，以便提供部门找到这一行")
    plain = {name: str(key[name]).strip() for name in wanted}
    closed = Report.objects.filter(
        resource=resource, item=item, key=plain, case__state=Case.CLOSED
    ).count()
    word = rules.once_word(
        resource.name, f"report:{item}:{rules.key_hash(list(plain.values()))}", closed
    )
    case = kernel_case.open_case(
        PATH,
        title=f"{resource.title}：{declared[item]}疑似有误",
        subject=resource,
        applicant=None if person is not None else by.department,
        department=resource.owner,
        data={
            "dataset": resource.name,
            "rule": f"report.{item}",
            "reported": True,
            "by_person": person is not None,
        },
        once=word,
        by=by,
    )
    known = Report.objects.filter(case=case).first()
    if known is None:
        Report.objects.create(
            case=case,
            resource=resource,
            reporter=None if person is not None else by.department,
            person=person,
            key=plain,
            item=item,
            told=told.strip(),
            expected=expected.strip()[:500],
            evidence=evidence.strip()[:4000],
        )
    else:
        reporter = person or by.department
        if reporter is not None and reporter not in (known.person, known.reporter):
            known.others.add(reporter)
    record(
        "quality.reported",
        case,
        by=by,
        case=case,
        data={"dataset": resource.name, "item": item, "again": known is not None},
        personal={"key": plain, "told": told.strip(), "expected": expected.strip()},
    )
    return case


@action("quality.report")
def recheck(*, dataset: str, by: Actor) -> dict[str, Any]:
    """Hold a dataset's accepted rows against today's items and rules; the counts are on record.

    Returns rows, and by check how many of them fail now. Nothing is refused afterwards: what is
    wrong goes to the provider as any other doubt. Raises UserError where there is nothing to check.
    """
    resource = Resource.objects.filter(name=dataset).select_related("owner").first()
    if resource is None:
        raise UserError(f"没有名为“{dataset}”的数据集")
    spec = collection.dataset_spec(resource)
    try:
        rows, failed = check.recheck(
            collection.lake(), spec.name, spec.items, spec.rules, key=spec.key
        )
    except LakeError as error:
        raise UserError(str(error)) from error
    found = {"rows": rows, "failed": failed}
    record("quality.rechecked", resource, by=by, data=found)
    return found


def note_offences_read(
    case: Case, rows: Sequence[queries.Offence], *, by: Actor, how: str = "workbench"
) -> None:
    """Put on record that an officer saw a case's rows (how: workbench | export).

    Under a mask no number is legible and nobody is named; in clear each person finds the reading on
    谁看过我的数据.
    """
    people = audit.people_in(v for row in rows for v in (row.text, *row.values.values()))
    if people:
        audit.record_reading(
            by=by,
            resource=str(case.data.get("dataset", "")),
            people=people,
            purpose=f"办理校核 {case.code}",
            channel=how,
            rows=len(rows),
        )


def on_batch_finished(code: str) -> None:
    """Assess a batch that has just been finished, if it loaded a dataset."""
    batch = Batch.objects.select_related("resource__owner").get(code=code)
    if batch.state == Batch.SUCCEEDED and batch.resource.kind == Resource.DATASET:
        assess(batch=batch, by=SYSTEM)


def on_case_closed(code: str) -> None:
    """Announce the correction where a correction case was closed as corrected."""
    case = Case.objects.select_related("path").filter(code=code).first()
    if case is not None and case.path.key == PATH and case.outcome == "corrected":
        tell_corrected(case=case, by=SYSTEM)
