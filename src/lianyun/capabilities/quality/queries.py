"""Queries: every read of quality: scores, findings, rules, cases, and the rows that offend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from lianyun.capabilities.collection import api as collection
from lianyun.kernel import case as kernel_case
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Batch, Case, Event, Measurement, Party, Resource, WorkItem
from lianyun.lake.land import write_csv
from lianyun.lake.shelves import literal, quote, table_columns

from . import rules
from .models import Finding, Report

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

SCORE = "quality.score"
PATH = "correction"


# ---- datasets ----------------------------------------------------------------------------


def dataset(name: str, viewer: Actor) -> Resource:
    """The dataset with this identifier; raises UserError."""
    found = (
        Resource.objects.filter(name=name, kind=Resource.DATASET).select_related("owner").first()
    )
    if found is None:
        raise UserError(f"没有名为“{name}”的数据集")
    return found


def items_of(resource: Resource) -> list[dict[str, Any]]:
    """The dataset's items as the catalogue declares them."""
    return list(collection.content(resource).get("items") or ())


def key_of(resource: Resource) -> tuple[str, ...]:
    """The names of the dataset's key items."""
    return collection.dataset_spec(resource).key


def _judged(outer: str) -> QuerySet[Batch]:
    """A dataset's scored batches, the newest first, without those that only brought corrected rows.

    A handful of corrected rows says nothing of the dataset as a whole.
    """
    return (
        Batch.objects.filter(resource=OuterRef(outer), state=Batch.SUCCEEDED, score__isnull=False)
        .exclude(source_ref__startswith="corrected:")
        .order_by("-id")
    )


def latest_scores(department: Party | None = None) -> list[tuple[float | None, int]]:
    """(score, rows) of the newest good batch of every dataset, of one department or of all."""
    newest = _judged("pk")
    rows = Resource.objects.filter(kind=Resource.DATASET)
    if department is not None:
        rows = rows.filter(owner=department)
    return list(
        rows.annotate(
            score=Subquery(newest.values("score")[:1]), landed=Subquery(newest.values("landed")[:1])
        )
        .filter(score__isnull=False)
        .values_list("score", "landed")
    )


@dataclass(frozen=True)
class Standing:
    """How one department stands: its score, datasets, failing rows, open and overdue cases."""

    department: Party
    score: float | None
    datasets: int
    failing: int
    open: int
    overdue: int

    @property
    def name(self) -> str:
        """Its short name."""
        return str(self.department)

    @property
    def grade(self) -> tuple[str, str]:
        """The word and tone of its score."""
        return rules.grade(self.score)


def standings(viewer: Actor) -> list[Standing]:
    """All departments with scored datasets, the worst first."""
    newest = _judged("pk")
    rows = (
        Resource.objects.filter(kind=Resource.DATASET)
        .annotate(
            score=Subquery(newest.values("score")[:1]),
            landed=Subquery(newest.values("landed")[:1]),
            rejected=Subquery(newest.values("rejected")[:1]),
        )
        .filter(score__isnull=False)
        .values_list("owner", "score", "landed", "rejected")
    )
    grouped: dict[int, list[tuple[float, int, int]]] = {}
    for owner, score, landed, rejected in rows:
        grouped.setdefault(owner, []).append((score, landed, rejected))
    today = timezone.localdate()
    cases = {
        pk: (n, late)
        for pk, n, late in WorkItem.objects.filter(
            case__path__key=PATH, done_at=None, case__state=Case.OPEN
        )
        .values("department")
        .annotate(n=Count("pk"), late=Count("pk", filter=Q(due_on__lt=today)))
        .values_list("department", "n", "late")
    }
    people = Party.objects.in_bulk(list(grouped))
    out = [
        Standing(
            department=people[owner],
            score=rules.mean((s, n) for s, n, _ in found),
            datasets=len(found),
            failing=sum(r for _, _, r in found),
            open=cases.get(owner, (0, 0))[0],
            overdue=cases.get(owner, (0, 0))[1],
        )
        for owner, found in grouped.items()
    ]
    return sorted(out, key=lambda s: (s.score if s.score is not None else 101, s.name))


def trend(viewer: Actor, dims: str = "", days: int = 60) -> list[tuple[str, float]]:
    """(day, score) of the city (`""`), a department (`department:ga`) or a dataset."""
    viewer.require("quality.read")
    since = timezone.localdate() - dt.timedelta(days=days)
    rows = Measurement.objects.filter(indicator__code=SCORE, dims=dims, day__gte=since).order_by(
        "day"
    )
    return [(f"{row.day:%m-%d}", row.value) for row in rows]


def batch_scores(resource: Resource, viewer: Actor, last: int = 20) -> list[Batch]:
    """The dataset's last scored batches, oldest first."""
    rows = (
        Batch.objects.filter(resource=resource, state=Batch.SUCCEEDED)
        .exclude(source_ref__startswith="corrected:")
        .order_by("-id")[:last]
    )
    return list(reversed(rows))


# ---- findings and rules ------------------------------------------------------------------


def newest_findings() -> QuerySet[Finding]:
    """The findings of every dataset's newest batch."""
    newest = _judged("resource")
    return (
        Finding.objects.annotate(newest=Subquery(newest.values("pk")[:1]))
        .filter(batch=F("newest"))
        .select_related("resource__owner", "batch", "case")
    )


def worst_rules(viewer: Actor, last: int = 10) -> list[Finding]:
    """The findings with most failing rows among the newest batches."""
    return list(newest_findings().order_by("-failed")[:last])


def findings(resource: Resource, viewer: Actor) -> list[Finding]:
    """The findings of a dataset's newest batch, most rows first."""
    return list(newest_findings().filter(resource=resource).order_by("-failed"))


@dataclass(frozen=True)
class RuleRow:
    """One rule of a pack and what it found last."""

    code: str
    title: str
    sql: str
    severity: str
    dataset: str
    dataset_title: str
    provider: str
    failed: int | None

    @property
    def pk(self) -> str:
        """Its code."""
        return self.code


def rule_rows(viewer: Actor) -> list[RuleRow]:
    """Every rule that packs declare, with the rows it found in the newest batch (None: not run)."""
    departments = dict(Party.objects.filter(kind=Party.DEPARTMENT).values_list("slug", "short"))
    run = dict(
        Resource.objects.filter(batches__state=Batch.SUCCEEDED)
        .annotate(newest=Max("batches__pk"))
        .values_list("name", "newest")
    )
    failed = {
        (name, rule): count
        for name, rule, count in newest_findings().values_list("resource__name", "rule", "failed")
    }
    out = []
    for found in packs.declarations("datasets"):
        for rule in found.data.get("rules") or ():
            known = found.name in run
            out.append(
                RuleRow(
                    code=rule["code"],
                    title=rule["title"],
                    sql=rule["sql"],
                    severity=rule.get("severity", "reject"),
                    dataset=found.name,
                    dataset_title=str(found.data.get("title") or found.name),
                    provider=departments.get(found.data.get("provider"), "") or "",
                    failed=failed.get((found.name, rule["code"]), 0) if known else None,
                )
            )
    return out


@dataclass(frozen=True)
class Recheck:
    """The last time accepted rows were held against the rules: when, how many, what fails."""

    at: dt.datetime
    rows: int
    failed: list[tuple[str, int]]


def last_recheck(resource: Resource, viewer: Actor) -> Recheck | None:
    """The newest recheck of a dataset, its checks by title, the worst first; None without one."""
    event = (
        Event.objects.filter(kind="quality.rechecked", subject=resource.ref).order_by("-pk").first()
    )
    if event is None:
        return None
    titles = collection.rule_titles(resource)
    failed = [(titles.get(code, code), n) for code, n in event.data["failed"].items()]
    return Recheck(event.at, event.data["rows"], sorted(failed, key=lambda f: -f[1]))


# ---- correction cases --------------------------------------------------------------------


def _of_group(resource: Resource, group: str) -> QuerySet[Case]:
    return Case.objects.filter(
        Q(findings__item=group) | Q(findings__rule=group),
        findings__resource=resource,
        path__key=PATH,
    ).distinct()


def open_case_of(resource: Resource, group: str) -> Case | None:
    """The open correction case of this dataset and item (or rule, see `rules.group_of`)."""
    return _of_group(resource, group).exclude(state=Case.CLOSED).order_by("-id").first()


def closed_cases(resource: Resource, group: str) -> int:
    """How many correction cases of this dataset and item (or rule) are closed."""
    return _of_group(resource, group).filter(state=Case.CLOSED).count()


def open_cases(resource: Resource, viewer: Actor) -> list[Case]:
    """The dataset's open correction cases that came from rules."""
    return list(
        Case.objects.filter(findings__resource=resource, path__key=PATH)
        .exclude(state=Case.CLOSED)
        .distinct()
        .order_by("id")
    )


def report_of(case: Case, viewer: Actor) -> Report | None:
    """What a receiver reported, if the case came from one."""
    return Report.objects.filter(case=case).select_related("resource", "reporter").first()


def reports_of(viewer: Actor) -> QuerySet[Report]:
    """What the viewer reported as a person, first or after others, newest first."""
    party = viewer.party
    if party is None:
        return Report.objects.none()
    rows = Report.objects.filter(Q(person=party) | Q(others=party))
    return rows.select_related("case", "resource__owner").distinct().order_by("-case_id")


def owner_columns(resource: Resource) -> list[str]:
    """The items that hold whose row it is, by their element; none where rows are nobody's."""
    return [str(i["name"]) for i in items_of(resource) if i.get("element") == "citizen_number"]


def owns_row(resource: Resource, key: Mapping[str, Any], citizen_number: str) -> bool:
    """Whether the row with this key is the person's own."""
    names, number = key_of(resource), citizen_number.strip().upper()
    if not names or not all(str(key.get(n) or "").strip() for n in names):
        return False
    with collection.lake().connect(read_only=True) as con:
        there = table_columns(con, "trusted", resource.name)
        owners = [c for c in owner_columns(resource) if c in there]
        if not owners:
            return False
        mine = " OR ".join(f"CAST({quote(c)} AS VARCHAR) = ?" for c in owners)
        this = " AND ".join(f"CAST({quote(n)} AS VARCHAR) = ?" for n in names)
        row = con.execute(
            f"SELECT count(*) FROM lake.trusted.{quote(resource.name)} WHERE ({mine}) AND {this}",
            [*(number for _ in owners), *(str(key[n]).strip() for n in names)],
        ).fetchone()
    return bool(row and row[0])


def desk(viewer: Actor) -> QuerySet[WorkItem]:
    """Open correction items that the viewer may answer, the most urgent first."""
    return kernel_case.work_items(viewer).filter(case__path__key=PATH)


def cases(viewer: Actor) -> QuerySet[Case]:
    """Correction cases that the viewer may read: of his departments or asked by them; all with scope."""
    rows = Case.objects.filter(path__key=PATH).select_related("department", "applicant", "path")
    scope = viewer.departments("quality.read")
    if scope is not None:
        rows = rows.filter(Q(department__in=scope) | Q(applicant__in=scope))
    due = WorkItem.objects.filter(case=OuterRef("pk")).order_by("-id")
    return rows.annotate(
        due_on=Subquery(due.values("due_on")[:1]), done_at=Subquery(due.values("done_at")[:1])
    ).order_by("-id")


def case_of(code: str, viewer: Actor) -> Case:
    """The correction case with this number, if the viewer may read it; raises UserError."""
    found = cases(viewer).filter(code=code).first()
    if found is None:
        raise UserError("没有这件校核工单，或它不属于您的部门")
    return found


def rules_of(case: Case, viewer: Actor) -> list[str]:
    """The rules that the rows of a correction failed."""
    return rules.codes_of(case.data)


def item_of(case: Case, viewer: Actor) -> WorkItem | None:
    """The work item that waits, or the last one that was done."""
    return case.items.select_related("department", "by").order_by("-id").first()


def may_answer(case: Case, viewer: Actor) -> bool:
    """Whether the viewer may answer this case."""
    return case.state == Case.OPEN and viewer.may("quality.correct", case.department)


# ---- offending rows ----------------------------------------------------------------------


def _resource_of(case: Case) -> Resource | None:
    return (
        Resource.objects.filter(name=str(case.data.get("dataset", "")))
        .select_related("owner")
        .first()
    )


def _batches_of(case: Case) -> list[Batch]:
    codes = case.data.get("batches") or []
    return list(
        Batch.objects.filter(code__in=codes).select_related("resource__owner").order_by("id")
    )


def _raw_key(batch: Batch, key: Sequence[str]) -> list[str]:
    """SQL for the key of a rejected row as it arrived, one text per key item."""
    titles = batch.outcome.get("titles") or {}
    parts = []
    for name in key:
        path = '$."' + str(titles.get(name, name)).replace('"', '\\"') + '"'
        parts.append(f"upper(trim(json_extract_string(_raw, {literal(path)})))")
    return parts


def outstanding(case: Case, viewer: Actor) -> int:
    """How many of a case's offending rows are still wrong.

    A refused row is right when it was sent again corrected, when a later batch brought a row of the
    same key that this rule did not refuse, or when a later full load failed this rule nowhere. A
    doubtful row is right when what replaced it is no longer doubtful, or when it is gone.
    """
    resource = _resource_of(case)
    codes_ = rules.codes_of(case.data)
    offending = _batches_of(case)
    if resource is None or not offending or not viewer.known:
        return 0
    later = list(
        Batch.objects.filter(
            resource=resource, state=Batch.SUCCEEDED, pk__gt=offending[0].pk
        ).order_by("id")
    )
    newest = offending[-1].pk
    if any(b.mode == "full" and b.pk > newest and b.landed for b in later):
        return 0
    key = key_of(resource)
    left = 0
    with collection.lake().connect(read_only=True) as con:
        if table_columns(con, "rejects", resource.name):
            raw = table_columns(con, "raw", resource.name)
            for batch in offending:
                left += _refused_left(con, resource, batch, codes_, key, raw, later)
        if "_warnings" in table_columns(con, "trusted", resource.name):
            codes = ", ".join(literal(b.code) for b in offending)
            row = con.execute(
                f"SELECT count(*) FROM lake.trusted.{quote(resource.name)} WHERE _batch IN ({codes}) "
                "AND list_has_any(string_split(_warnings, ','), ?)",
                [codes_],
            ).fetchone()
            left += int(row[0]) if row else 0
    return left


def _refused_left(
    con: Any,
    resource: Resource,
    batch: Batch,
    rules_: Sequence[str],
    key: Sequence[str],
    raw: dict[str, str],
    later: Sequence[Batch],
) -> int:
    table = quote(resource.name)
    listed = f"[{', '.join(literal(r) for r in rules_)}]"
    bad = (
        f"SELECT * FROM lake.rejects.{table} WHERE _batch = {literal(batch.code)} "
        f"AND list_has_any(_codes, {listed}) AND _corrected_by IS NULL"
    )
    after = [b.code for b in later if b.pk > batch.pk]
    if not after or not key or any(name not in raw for name in key):
        row = con.execute(f"SELECT count(*) FROM ({bad})").fetchone()
        return int(row[0])
    codes = ", ".join(literal(code) for code in after)
    wanted = ", ".join(f"{sql} AS k{i}" for i, sql in enumerate(_raw_key(batch, key)))
    brought = ", ".join(f"upper(trim({quote(name)})) AS k{i}" for i, name in enumerate(key))
    same = " AND ".join(f"g.k{i} = b.k{i}" for i in range(len(key)))
    row = con.execute(
        f"SELECT count(*) FROM (SELECT {wanted} FROM ({bad})) b WHERE NOT EXISTS ("
        f"SELECT 1 FROM (SELECT {brought} FROM lake.raw.{table} w WHERE w._batch IN ({codes}) "
        f"AND w._problem IS NULL AND NOT EXISTS (SELECT 1 FROM lake.rejects.{table} x "
        f"WHERE x._batch = w._batch AND x._line = w._line "
        f"AND list_has_any(x._codes, {listed}))) g WHERE {same})"
    ).fetchone()
    return int(row[0])


def offending_keys(case: Case, limit: int = 100_000) -> list[tuple[str, ...]]:
    """The keys of a case's offending rows, as far as they can be read."""
    resource = _resource_of(case)
    if resource is None:
        return []
    key = key_of(resource)
    codes = rules.codes_of(case.data)
    found: set[tuple[str, ...]] = set()
    if not key:
        return []
    with collection.lake().connect(read_only=True) as con:
        have = bool(table_columns(con, "rejects", resource.name))
        for batch in _batches_of(case) if have else ():
            rows = con.execute(
                f"SELECT {', '.join(_raw_key(batch, key))} FROM lake.rejects.{quote(resource.name)} "
                f"WHERE _batch = ? AND list_has_any(_codes, ?) AND _raw IS NOT NULL LIMIT {limit}",
                [batch.code, codes],
            ).fetchall()
            found.update(tuple(r) for r in rows if all(v is not None for v in r))
        found.update(_doubtful_keys(con, resource, case, key, limit))
    return sorted(found)


def _doubtful_keys(
    con: Any, resource: Resource, case: Case, key: Sequence[str], limit: int
) -> set[tuple[str, ...]]:
    """The keys of rows that came in with a warning of this case, as they stand or stood."""
    batches = [b.code for b in _batches_of(case)]
    wanted = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in key)
    found: set[tuple[str, ...]] = set()
    for shelf in ("trusted", "changes"):
        have = table_columns(con, shelf, resource.name)
        if batches and {"_warnings", "_batch", *key} <= set(have):
            rows = con.execute(
                f"SELECT DISTINCT {wanted} FROM lake.{shelf}.{quote(resource.name)} "
                "WHERE list_contains(?, _batch) "
                f"AND list_has_any(string_split(_warnings, ','), ?) LIMIT {int(limit)}",
                [batches, rules.codes_of(case.data)],
            ).fetchall()
            found.update(tuple(r) for r in rows if all(v is not None for v in r))
    return found


def touched(case: Case, keys: Sequence[tuple[str, ...]], limit: int) -> list[str]:
    """The texts by which a service is asked for a case's rows: their key, and whose they are.

    A service is called by the key or by a citizen number or credit code (see services' look-ups).
    """
    resource = _resource_of(case)
    out = dict.fromkeys("\x1f".join(key) for key in keys[:limit])
    if resource is None or not keys:
        return list(out)
    names = key_of(resource)
    own = [
        c.name
        for c in collection.dataset_spec(resource).items
        if c.check in ("citizen_number", "credit_code") and c.name not in names
    ]
    if not own or len(out) >= limit:
        return list(out)
    wanted = " UNION ALL ".join(
        f"SELECT DISTINCT CAST({quote(c)} AS VARCHAR) AS number FROM kept" for c in own
    )
    same = " AND ".join(
        f"upper(trim(CAST(t.{quote(name)} AS VARCHAR))) = upper(trim(w.k{i}))"
        for i, name in enumerate(names)
    )
    with collection.lake().connect(read_only=True) as con:
        if not set(names) | set(own) <= set(table_columns(con, "trusted", resource.name)):
            return list(out)
        columns = ", ".join(f"unnest(?::VARCHAR[]) AS k{i}" for i in range(len(names)))
        keys_by_item = [list(column) for column in zip(*keys[:limit], strict=True)]
        rows = con.execute(
            f"WITH wanted AS (SELECT {columns}), kept AS (SELECT t.* FROM "
            f"lake.trusted.{quote(resource.name)} t JOIN wanted w ON {same}) "
            f"SELECT number FROM ({wanted}) WHERE number IS NOT NULL LIMIT {int(limit)}",
            keys_by_item,
        ).fetchall()
    out.update(dict.fromkeys(str(r[0]) for r in rows))
    return list(out)


def offending_rows(resource: Resource, batch: Batch, codes: Sequence[str]) -> int:
    """How many rows of a batch at least one of these rules refused or doubted."""
    count = 0
    with collection.lake().connect(read_only=True) as con:
        for shelf, column in (("rejects", "_codes"), ("trusted", "string_split(_warnings, ',')")):
            have = table_columns(con, shelf, resource.name)
            if "_codes" in have or "_warnings" in have:
                row = con.execute(
                    f"SELECT count(*) FROM lake.{shelf}.{quote(resource.name)} "
                    f"WHERE _batch = ? AND list_has_any({column}, ?)",
                    [batch.code, list(codes)],
                ).fetchone()
                count += int(row[0]) if row else 0
    return count


@dataclass(frozen=True)
class Offence:
    """One offending row: where it came in, its values as shown to this viewer, and why."""

    batch: str
    line: int | None
    values: dict[str, Any]
    text: str
    reasons: str
    corrected: bool

    @property
    def pk(self) -> str:
        """Batch and line."""
        return f"{self.batch}:{self.line}"


def offences(case: Case, viewer: Actor, limit: int = 200) -> list[Offence]:
    """The offending rows of a case; personal values are masked unless the viewer may correct them."""
    resource = _resource_of(case)
    if resource is None:
        return []
    codes = rules.codes_of(case.data)
    open_eyes = viewer.may("quality.correct", resource.owner)
    masks = collection.masks(resource)
    titles = {i.get("title") or i["name"]: i["name"] for i in items_of(resource)}
    out: list[Offence] = []
    for batch in _batches_of(case):
        for row in collection.rejected(batch, SYSTEM, limit=limit - len(out), codes=codes):
            names = {t: n for n, t in (batch.outcome.get("titles") or {}).items()}
            values = {
                t: v
                if open_eyes
                else mask_value(masks.get(names.get(t) or titles.get(t, ""), "all"), v)
                for t, v in row.values.items()
            }
            out.append(
                Offence(
                    batch.code,
                    row.line,
                    values,
                    row.text if open_eyes else ("＊＊＊" if row.text else ""),
                    row.why if open_eyes else "、".join(_plain_reasons(row.reasons)),
                    row.corrected_by is not None,
                )
            )
        if len(out) < limit:
            out += _doubtful(resource, batch, codes, masks, open_eyes, limit - len(out))
        if len(out) >= limit:
            break
    return out


def _plain_reasons(reasons: Sequence[str]) -> list[str]:
    """Reasons without the values that they quote."""
    return [reason.partition("“")[0].rstrip("，：实为") for reason in reasons]


def _doubtful(
    resource: Resource,
    batch: Batch,
    codes: Sequence[str],
    masks: dict[str, str],
    open_eyes: bool,
    limit: int,
) -> list[Offence]:
    titles = {i["name"]: i.get("title") or i["name"] for i in items_of(resource)}
    with collection.lake().connect(read_only=True) as con:
        have = table_columns(con, "trusted", resource.name)
        if "_warnings" not in have:
            return []
        columns = [c for c in have if not c.startswith("_")]
        rows = con.execute(
            f"SELECT _line, _warnings, {', '.join(quote(c) for c in columns)} "
            f"FROM lake.trusted.{quote(resource.name)} WHERE _batch = ? "
            f"AND list_has_any(string_split(_warnings, ','), ?) ORDER BY _line LIMIT {int(limit)}",
            [batch.code, list(codes)],
        ).fetchall()
    told = collection.rule_titles(resource)
    return [
        Offence(
            batch.code,
            line,
            {
                titles.get(c, c): v if open_eyes else mask_value(masks.get(c, "all"), v)
                for c, v in zip(columns, values, strict=True)
                if v is not None
            },
            "",
            "；".join(told.get(c, c) for c in warned.split(",") if c in codes),
            False,
        )
        for line, warned, *values in rows
    ]


OUTCOMES = {"corrected": "已更正", "upheld": "核实无误"}


def outcome_title(case: Case) -> str:
    """How a correction ended, in Chinese; empty while it is open."""
    return OUTCOMES.get(case.outcome, case.outcome)


def resource_of(case: Case, viewer: Actor) -> Resource | None:
    """The dataset that a correction is about."""
    return _resource_of(case)


def timeline(case: Case, viewer: Actor) -> list[Event]:
    """What happened in a correction, oldest first."""
    return list(Event.objects.filter(case_id_ref=case.pk).order_by("id"))


def offences_csv(rows: Sequence[Offence]) -> bytes:
    """The offending rows of a case as CSV, for those who may correct them."""
    columns = list(dict.fromkeys(t for o in rows for t in o.values))
    return write_csv(
        ["批次", "行号", "原因", *columns, "原文"],
        ([o.batch, o.line, o.reasons, *(o.values.get(t) for t in columns), o.text] for o in rows),
    )


def department(slug: str, viewer: Actor) -> Party:
    """The department with this short name; raises UserError."""
    found = Party.objects.filter(kind=Party.DEPARTMENT, slug=slug).first()
    if found is None:
        raise UserError(f"没有简码为“{slug}”的部门")
    return found


def scored(owner: Party, viewer: Actor) -> list[Any]:
    """A department's datasets with their newest score, landed and rejected rows, worst first."""
    newest = _judged("pk")
    return list(
        Resource.objects.filter(kind=Resource.DATASET, owner=owner)
        .annotate(
            score=Subquery(newest.values("score")[:1]),
            landed=Subquery(newest.values("landed")[:1]),
            rejected=Subquery(newest.values("rejected")[:1]),
        )
        .filter(score__isnull=False)
        .order_by("score")
    )


def figures(viewer: Actor) -> dict[str, Any]:
    """The figures above the quality page."""
    today = timezone.localdate()
    items = WorkItem.objects.filter(case__path__key=PATH, done_at=None, case__state=Case.OPEN)
    return {
        "score": rules.mean(latest_scores()),
        "failing": newest_findings().aggregate(n=Sum("failed"))["n"] or 0,
        "open": items.count(),
        "overdue": items.filter(due_on__lt=today).count(),
    }
