"""Views: the guided builder, the SQL editor, a run with its answer, saved questions, the history."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

TABS = (
    ("向导", "analysis:builder"),
    ("SQL", "analysis:editor"),
    ("查询库", "analysis:questions"),
    ("历史", "analysis:history"),
)


def _tabs() -> list[tuple[str, str]]:
    return [(title, reverse(name)) for title, name in TABS]


class AskForm(Styled):
    """A read-only question in SQL."""

    sql = forms.CharField(
        label="查询语句",
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 10, "class": "mono", "spellcheck": "false"}),
        help_text="只能使用 SELECT；只能查询右侧列出的数据，个人信息按规定脱敏",
    )
    purpose = forms.CharField(
        label="用途", max_length=200, help_text="将写入调用记录，并向本人公开"
    )


class KeepForm(Styled):
    """What a kept question is called and who else may open it."""

    title = forms.CharField(label="名称", max_length=200)
    sharing = forms.ChoiceField(
        label="共享范围",
        choices=list(rules.SHARING.items()),
        help_text="他人打开时按他自己的权限重新查询",
    )


# ---- asking ------------------------------------------------------------------------------


@page(permission="analysis.ask")
def editor(request: ActorRequest) -> HttpResponse:
    """The editor for read-only SQL."""
    viewer = request.actor
    first = {"sql": request.GET.get("sql", "")[:20_000]}
    if request.GET.get("run"):
        old = queries.run(request.GET["run"], viewer)
        first = {"sql": old.sql, "purpose": old.purpose}
    form = AskForm(request.POST or None, initial=first)
    if request.method == "POST" and form.is_valid():
        try:
            return _begun(
                request, sql=form.cleaned_data["sql"], purpose=form.cleaned_data["purpose"]
            )
        except UserError as wrong:
            form.add_error("sql", str(wrong))
    tables = list(queries.tables(viewer).values())
    return render(
        request, "analysis/editor.html", {"form": form, "tables": tables, "tabs": _tabs()}
    )


def _begun(request: ActorRequest, **asked: Any) -> HttpResponse:
    run = actions.begin(by=request.actor, **asked)
    actions.start(run, by=request.actor)
    return redirect("analysis:run", code=run.code)


@page(permission="analysis.ask")
def builder(request: ActorRequest) -> HttpResponse:
    """The guided builder: data, joins, conditions, groups and figures, then the answer."""
    viewer = request.actor
    tables = queries.tables(viewer)
    sent = request.POST if request.method == "POST" else request.GET
    spec = rules.spec_of(sent.dict(), {"columns": sent.getlist("columns")})
    purpose, error, sql = sent.get("purpose", ""), "", ""
    if request.method == "GET" and sent.get("run"):
        old = queries.run(sent["run"], viewer)
        spec, purpose = old.spec or spec, old.purpose
    spec = rules.pruned(spec, tables)
    do = sent.get("do", "")
    rules.drop(spec, do)
    extra = {part: do == f"add-{part}" for part in ("f", "g", "m", "j")}
    if spec["base"]:
        try:
            built = rules.build(tables, spec)
            sql = built.sql
            if request.method == "POST" and do == "run":
                return _begun(
                    request,
                    sql=built.sql,
                    purpose=purpose,
                    title=_title(tables, spec, built),
                    spec=spec,
                    chart={"label": built.labels[0], "values": built.values}
                    if built.labels
                    else {},
                )
        except (rules.BadSpec, UserError) as wrong:
            error = str(wrong)
    return render(
        request,
        "analysis/_builder.html" if request.htmx else "analysis/builder.html",
        {
            **_choices(tables, spec, extra),
            "purpose": purpose,
            "error": error if do in ("run", "show") else "",
            "sql": sql,
            "tabs": _tabs(),
        },
    )


def _title(tables: dict[str, rules.TableInfo], spec: dict[str, Any], built: rules.Built) -> str:
    names = [tables[spec["base"]].title, *(tables[j["table"]].title for j in spec["joins"])]
    by = f"：按{'、'.join(built.labels)}的{'、'.join(built.values)}" if built.labels else ""
    return f"{'、'.join(names)}{by}"


def _choices(
    tables: dict[str, rules.TableInfo], spec: dict[str, Any], extra: dict[str, bool]
) -> dict[str, Any]:
    """What the builder's template offers: for every row its columns, conditions and values."""
    chosen = [("a", spec["base"])] if spec["base"] else []
    chosen += [("bcd"[i], j["table"]) for i, j in enumerate(spec["joins"])]
    fields = [
        (f"{alias}.{f.name}", f, tables[name].title)
        for alias, name in chosen
        for f in tables[name].fields
    ]
    one = len(chosen) < 2

    def listed(wanted: Any) -> list[tuple[str, str]]:
        return [(p, f.title if one else f"{t}·{f.title}") for p, f, t in fields if wanted(f)]

    by_path = {p: f for p, f, _ in fields}
    blank = {"column": "", "op": "", "value": "", "by": "", "fn": ""}
    filters = [*spec["filters"], *([blank] if extra["f"] else [])]
    groups = [*spec["groups"], *([blank] if extra["g"] or not spec["groups"] else [])]
    measures = [*spec["measures"], *([blank] if extra["m"] or not spec["measures"] else [])]
    hints = rules.suggestions(tables, chosen) if chosen else []
    joins = [
        {
            **join,
            "value": f"{join['table']}|{join['left']}|{join['right']}",
            "words": f"{tables[join['table']].title}（{join['left'].partition('.')[2].removesuffix('_link')}）",
        }
        for join in spec["joins"]
    ]
    return {
        "tables": list(tables.values()),
        "spec": spec,
        "chosen": [tables[name] for _, name in chosen],
        "joins": joins,
        "suggestions": hints[:40] if len(joins) < rules.MOST_JOINS else [],
        "filters": [
            {
                **row,
                "ops": [
                    (op, rules.OPS[op])
                    for op in rules.ops_of(by_path.get(row["column"], rules.FieldInfo("", "")))
                ],
                "kind": by_path[row["column"]].kind if row["column"] in by_path else "text",
            }
            for row in filters
        ],
        "groups": [
            {
                **row,
                "dated": row["column"] in by_path
                and by_path[row["column"]].kind in ("date", "time"),
            }
            for row in groups
        ],
        "measures": measures,
        "filter_columns": listed(lambda f: True),
        "group_columns": listed(lambda f: not f.masked),
        "measure_columns": listed(lambda f: True),
        "columns": listed(lambda f: True),
        "fns": list(rules.MEASURES.items()),
        "buckets": list(rules.BUCKETS.items()),
        "aggregated": bool(spec["groups"] or spec["measures"]),
        "guarded": any(tables[name].guarded for _, name in chosen),
    }


# ---- one run -----------------------------------------------------------------------------


@page(permission="analysis.ask")
def run(request: ActorRequest, code: str) -> HttpResponse:
    """One run: how far it is, what it costs, or its answer as table and chart."""
    found = queries.run(code, request.actor)
    actions.note_seen(found)
    answer, gone = None, ""
    if found.good:
        try:
            answer = queries.shown(found, request.actor)
            gone = "" if answer else "结果已过保存期限（24 小时）"
        except UserError as changed:
            gone = str(changed)
    chosen = None
    if answer:
        asked = {
            "kind": request.GET.get("kind") or found.chart.get("kind"),
            "label": request.GET.get("label") or found.chart.get("label"),
            "values": request.GET.getlist("values") or found.chart.get("values") or (),
        }
        chosen = rules.chart_of(answer["names"], answer["kinds"], asked)
    return render(
        request,
        "analysis/run.html",
        {
            "run": found,
            "lost": queries.is_lost(found),
            "answer": answer,
            "gone": gone,
            "chart": _chart(found.title or "查询结果", answer, chosen),
            "chosen": chosen,
            "kinds": list(rules.CHARTS.items()),
            "points": rules.MOST_POINTS,
            "names": queries.names_of(found, request.actor),
            **queries.facts(found, request.actor),
            "keep": KeepForm(initial={"title": found.title, "sharing": "own"}),
            "tabs": _tabs(),
        },
    )


def _chart(
    title: str, answer: dict[str, Any] | None, chosen: dict[str, Any] | None
) -> charts.Chart | None:
    if not answer or not chosen or not answer["rows"]:
        return None
    places = {name: at for at, name in enumerate(answer["names"])}
    rows = answer["rows"][: rules.MOST_POINTS]

    def number(value: Any) -> float | None:
        return None if value is None else float(value)

    def called(value: Any) -> str:
        words = "空" if value is None else str(value)
        return words.partition("（")[0] if chosen["label"] in answer["coded"] else words

    return charts.Chart(
        chosen["kind"],
        title,
        [called(row[places[chosen["label"]]]) for row in rows],
        [
            charts.Series(name, [number(row[places[name]]) for row in rows])
            for name in (chosen["values"][:1] if chosen["kind"] == "donut" else chosen["values"])
        ],
        first_column=chosen["label"],
    )


@page(permission="analysis.ask")
def progress(request: ActorRequest, code: str) -> HttpResponse:
    """The bar of a run; each look also says that somebody still waits for it."""
    found = queries.run(code, request.actor)
    actions.note_seen(found)
    ended = found.finished_at is not None or found.waits or queries.is_lost(found)
    answer = render(request, "analysis/_progress.html", {"run": found, "ended": ended})
    if ended:
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
@page(permission="analysis.ask")
def cancel(request: ActorRequest, code: str) -> HttpResponse:
    """Take a run back."""
    found = queries.run(code, request.actor)
    if found.finished_at is None:
        actions.cancel(run=found, by=request.actor)
    return redirect("analysis:run", code=code)


@require_POST
@page(permission="analysis.ask")
def confirm(request: ActorRequest, code: str) -> HttpResponse:
    """Let a heavy run go on."""
    found = queries.run(code, request.actor)
    actions.confirm(run=found, by=request.actor)
    return redirect("analysis:run", code=code)


@page(permission="analysis.ask")
def export(request: ActorRequest, code: str, form: str) -> HttpResponseBase:
    """The whole answer as CSV (with a byte-order mark, for Excel) or Parquet."""
    if form not in ("csv", "parquet"):
        raise Http404
    found = queries.run(code, request.actor)
    table = actions.export(run=found, form=form, by=request.actor)
    answer: HttpResponseBase
    if form == "csv":
        answer = StreamingHttpResponse(_csv(table), content_type="text/csv; charset=utf-8")
    else:
        out = io.BytesIO()
        parquet.write_table(table, out, compression="zstd")
        answer = HttpResponse(out.getvalue(), content_type="application/vnd.apache.parquet")
    answer["Content-Disposition"] = f'attachment; filename="answer-{found.code}.{form}"'
    return answer


def _csv(table: pa.Table) -> Iterator[bytes]:
    """Lines of CSV; cells that a spreadsheet would take for a formula are defused."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield b"\xef\xbb\xbf"
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=5_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow([_harmless(queries.plain(v)) for v in row])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    if buffer.tell():
        yield buffer.getvalue().encode()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


@require_POST
@page(permission="analysis.ask")
def keep(request: ActorRequest, code: str) -> HttpResponse:
    """Keep a run's question under a name."""
    found = queries.run(code, request.actor)
    form = KeepForm(request.POST)
    if not form.is_valid():
        raise UserError("请给查询起个名称，并选择共享范围")
    chart = {
        "kind": request.POST.get("kind", ""),
        "label": request.POST.get("label", ""),
        "values": request.POST.getlist("values"),
    }
    actions.keep(
        run=found,
        title=form.cleaned_data["title"],
        sharing=form.cleaned_data["sharing"],
        chart=chart,
        by=request.actor,
    )
    messages.success(request, "查询已保存")
    return redirect("analysis:questions")


# ---- saved questions and the history -----------------------------------------------------


@page(permission="analysis.ask")
def questions(request: ActorRequest) -> HttpResponse:
    """Saved questions: one's own and those shared with one."""
    viewer = request.actor
    table = Table(
        request,
        queries.questions(viewer),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                sort=True,
                link=lambda q: reverse("analysis:question", args=[q.code]),
            ),
            Column("owner.name", "作者"),
            Column("department.short", "部门", phone=False),
            Column("sharing", "共享", cell=lambda q: rules.SHARING[q.sharing]),
            Column("changed_at", "保存时间", kind="stamp", sort=True),
        ],
        filters=[Filter("q", "关键词", lookup="title__icontains")],
        caption="查询库",
        empty=Empty(
            "还没有保存的查询",
            "在查询结果页点“保存”，以后可以直接再问。",
            reverse("analysis:builder"),
            "新建查询",
        ),
    )
    return table.respond(request, "analysis/questions.html", {"tabs": _tabs()})


@page(permission="analysis.ask")
def question(request: ActorRequest, code: str) -> HttpResponse:
    """One saved question: what it asks; asking it is done with the reader's own rights."""
    viewer = request.actor
    found = queries.question(code, viewer)
    error = ""
    if request.method == "POST":
        try:
            return _begun(
                request,
                sql=found.sql,
                purpose=request.POST.get("purpose", ""),
                title=found.title,
                spec=found.spec,
                chart=found.chart,
                question=found,
            )
        except UserError as wrong:
            error = str(wrong)
    return render(
        request,
        "analysis/question.html",
        {
            "question": found,
            "sharing": rules.SHARING[found.sharing],
            "mine": viewer.party is not None and found.owner_id == viewer.party.pk,
            "error": error,
            "purpose": request.POST.get("purpose", ""),
            "tabs": _tabs(),
        },
    )


@require_POST
@page(permission="analysis.ask")
def remove(request: ActorRequest, code: str) -> HttpResponse:
    """Forget one's own saved question."""
    actions.remove(question=queries.question(code, request.actor), by=request.actor)
    messages.success(request, "查询已删除")
    return redirect("analysis:questions")


@page(permission="analysis.ask")
def history(request: ActorRequest) -> HttpResponse:
    """What one has asked, the newest first."""
    table = Table(
        request,
        queries.runs(request.actor),
        columns=[
            Column(
                "title",
                "查询",
                primary=True,
                cell=lambda r: r.title or (r.sql[:60] if r.sql else "（已清除）"),
                link=lambda r: reverse("analysis:run", args=[r.code]),
                sub=lambda r: r.purpose,
            ),
            Column(
                "outcome",
                "结果",
                kind="badge",
                cell=lambda r: r.outcome[0],
                tone=lambda r: r.outcome[1],
            ),
            Column("rows", "行数", kind="number"),
            Column("seconds", "用时（秒）", kind="number", phone=False),
            Column("started_at", "时间", kind="stamp"),
        ],
        filters=[
            Filter("q", "关键词", lookup="title__icontains|sql__icontains|purpose__icontains")
        ],
        caption="查询历史",
        export_name="查询历史",
        page_size=20,
        empty=Empty(
            "还没有查询过",
            "用向导选数据、加条件、看结果，不需要会写 SQL。",
            reverse("analysis:builder"),
            "开始查询",
        ),
    )
    return table.respond(request, "analysis/history.html", {"tabs": _tabs()})
