"""Views: the overview on one page, the lists behind its figures, and a suspicion with its evidence."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.context import address_of
from lianyun.ui.forms import Styled
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Filter, Table

from . import actions, queries, rules

MOST_FLOWS = 40
FAILED_DAYS = 7
TONES = {"待核实": "red", "已立案": "amber", "核实无异常": "green"}


def _period(request: ActorRequest) -> int:
    wanted = request.GET.get("days", "")
    return (
        int(wanted)
        if wanted.isdecimal() and len(wanted) < 4 and int(wanted) in rules.PERIODS
        else 7
    )


def _address(name: str, **values: object) -> str:
    return f"{reverse(f'exchange:{name}')}?{urlencode(values)}"


@page(permission="exchange.read")
def home(request: ActorRequest) -> HttpResponse:
    """Everything at a glance."""
    viewer = request.actor
    days = _period(request)
    measure = "rows" if request.GET.get("by") == "rows" else "calls"
    found = queries.flows(viewer, *queries.span(days))
    pairs = queries.between(found, measure)
    volume = queries.volume(viewer)
    failed = queries.failed(viewer, FAILED_DAYS)
    waiting = list(queries.suspicions(viewer, waiting=True))
    return render(
        request,
        "exchange/home.html",
        {
            "days": days,
            "measure": measure,
            "unit": rules.MEASURES[measure][1],
            "period": rules.PERIODS[days],
            "periods": [
                (title, _address("home", days=n, by=measure), n == days)
                for n, title in rules.PERIODS.items()
            ],
            "measures": [
                (title, _address("home", days=days, by=key), key == measure)
                for key, (title, _) in rules.MEASURES.items()
            ],
            "figure": _sankey(pairs, measure, days),
            "pairs": [(face, amount, _flow_url(face, days)) for face, amount in pairs[:8]],
            "pair_count": len(pairs),
            "total": sum(amount for _, amount in pairs),
            "volume": volume,
            "share": volume.share,
            "trend": charts.one(
                "bar",
                "每日交换次数",
                [(f"{d.month}-{d.day}", n) for d, n in volume.days],
                "次",
                first_column="日期",
            ),
            "counted_at": queries.counted_at(viewer),
            "overdue": len(queries.overdue(viewer)),
            "dead": len(queries.dead(viewer)),
            "failed": len(failed),
            "failed_note": f"近 {FAILED_DAYS} 天",
            "waiting": waiting[:6],
            "waiting_count": len(waiting),
            "today_url": _address("flows", days=1),
        },
    )


def _flow_url(face: queries.Flow, days: int) -> str:
    receiver = face.receiver.slug if face.receiver else "-"
    return _address("flows", days=days, provider=face.provider.slug, receiver=receiver)


def _sankey(pairs: list[tuple[queries.Flow, int]], measure: str, days: int) -> charts.Chart:
    shown = pairs[:MOST_FLOWS]
    title, unit = rules.MEASURES[measure]
    return charts.one(
        "sankey",
        f"数据从谁流向谁（{title}）",
        [(f"{face.giver} → {face.taker}", amount) for face, amount in shown],
        unit,
        links=[_flow_url(face, days) for face, _ in shown],
        first_column="提供部门 → 使用部门",
    )


@page(permission="exchange.read")
def flows(request: ActorRequest) -> HttpResponse:
    """What is behind a flow: which data, under which grants."""
    viewer, days = request.actor, _period(request)
    every = queries.flows(viewer, *queries.span(days))
    givers, takers = queries.departments(viewer, every)
    table = Table(
        request,
        every,
        columns=[
            Column("title", "数据", primary=True),
            Column("giver", "提供部门"),
            Column("taker", "使用部门"),
            Column(
                "grant_code",
                "授权",
                kind="code",
                link=lambda f: address_of("sharing:grant", f.grant_code) if f.grant_code else "",
            ),
            Column("calls", "次数", kind="number", sort=True),
            Column("rows", "行数", kind="number", sort=True),
            Column("refused", "被拒绝", kind="number", sort=True),
        ],
        filters=[
            Filter(
                "provider",
                "提供部门",
                "select",
                choices=[(p.slug or "", str(p)) for p in givers],
                apply=lambda rows, v: [f for f in rows if f.provider.slug == v],
            ),
            Filter(
                "receiver",
                "使用部门",
                "select",
                choices=[*((p.slug or "", str(p)) for p in takers), ("-", "其他系统")],
                apply=lambda rows, v: [
                    f for f in rows if (f.receiver.slug if f.receiver else "-") == v
                ],
            ),
        ],
        caption="数据流向",
        export_name="数据流向",
        empty=Empty("这段时间没有数据交换", "换一段时间，或清除筛选条件。", icon="flow"),
    )
    return table.respond(
        request,
        "exchange/flows.html",
        {
            "period": rules.PERIODS[days],
            "periods": [
                (title, _with(request, days=n), n == days) for n, title in rules.PERIODS.items()
            ],
            "calls": sum(f.calls for f in table.filtered),
            "rows": sum(f.rows for f in table.filtered),
        },
    )


def _with(request: ActorRequest, **changes: object) -> str:
    kept = {k: v for k, v in request.GET.items() if k in ("provider", "receiver")}
    return f"{request.path}?{urlencode({**kept, **changes})}"


@page(permission="exchange.read")
def overdue(request: ActorRequest) -> HttpResponse:
    """Steps of sharing's cases that are late."""
    table = Table(
        request,
        queries.overdue(request.actor),
        columns=[
            Column(
                "case.title",
                "办件",
                primary=True,
                cell=lambda i: i.case.title,
                link=lambda i: address_of("sharing:case", i.case.code),
                sub=lambda i: i.case.code,
            ),
            Column("title", "环节"),
            Column("department", "承办部门", cell=lambda i: str(i.department or "")),
            Column("due_on", "时限", kind="lamp"),
        ],
        caption="逾期的共享事项",
        export_name="逾期的共享事项",
        empty=Empty("没有逾期的共享事项", "每个环节都在时限之内。", icon="check"),
    )
    return table.respond(
        request,
        "exchange/list.html",
        {"heading": "逾期的共享事项", "lede": "按《政务数据共享条例》的时限逐环节计算。"},
    )


def _named(request: ActorRequest, rows: list[queries.Named], caption: str, empty: Empty) -> Table:
    return Table(
        request,
        rows,
        columns=[
            Column("title", "名称", primary=True, link=lambda n: n.url),
            Column("kind", "类别"),
            Column("owner", "部门"),
            Column("words", "情况"),
            Column("at", "时间", kind="stamp"),
        ],
        filters=[
            Filter(
                "kind",
                "类别",
                "select",
                choices=[(k, k) for k in dict.fromkeys(n.kind for n in rows)],
                apply=lambda found, v: [n for n in found if n.kind == v],
            )
        ],
        caption=caption,
        export_name=caption,
        empty=empty,
    )


@page(permission="exchange.read")
def dead(request: ActorRequest) -> HttpResponse:
    """Data that stopped or are never used, grants never used."""
    empty = Empty("没有沉睡的数据和授权", "数据都在更新，授权都在使用。", icon="heart")
    table = _named(request, queries.dead(request.actor), "沉睡的数据与授权", empty)
    lede = (
        f"入库后不再更新或从未被使用的数据集，以及授予后 {queries.UNUSED_DAYS} 天仍未使用过的授权。"
    )
    return table.respond(
        request, "exchange/list.html", {"heading": "沉睡的数据与授权", "lede": lede}
    )


@page(permission="exchange.read")
def failed(request: ActorRequest) -> HttpResponse:
    """Collections, deliveries and services that failed."""
    empty = Empty("没有失败", f"近 {FAILED_DAYS} 天的归集、交换和服务都成功了。", icon="check")
    table = _named(request, queries.failed(request.actor, FAILED_DAYS), "失败的归集与交换", empty)
    lede = f"近 {FAILED_DAYS} 天内失败的归集批次，以及因平台或数据源原因失败的调用。"
    return table.respond(
        request, "exchange/list.html", {"heading": "失败的归集与交换", "lede": lede}
    )


@page(permission="exchange.read")
def suspicions(request: ActorRequest) -> HttpResponse:
    """Everything that looked like misuse."""
    table = Table(
        request,
        queries.suspicions(request.actor),
        columns=[
            Column(
                "summary",
                "情况",
                primary=True,
                link=lambda s: reverse("exchange:suspicion", args=[s.pk]),
                sub=lambda s: s.get_rule_display(),
            ),
            Column("grantee", "使用部门", cell=lambda s: str(s.grant.grantee)),
            Column("resource", "数据", cell=lambda s: str(s.grant.resource or "")),
            Column("day", "日期", kind="date", sort=True),
            Column("standing", "核实", kind="badge", tone=lambda s: TONES.get(s.standing, "grey")),
        ],
        filters=[
            Filter(
                "standing",
                "核实",
                "select",
                choices=[(k, k) for k in TONES],
                apply=_of_standing,
            ),
            Filter("rule", "规则", "select", choices=list(rules.RULES.items()), lookup="rule"),
        ],
        caption="疑似超范围使用",
        export_name="疑似超范围使用",
        empty=Empty(
            "没有发现疑似超范围使用", "系统每十分钟按规则检查一次调用记录的统计。", icon="shield"
        ),
    )
    return table.respond(request, "exchange/suspicions.html")


def _of_standing(rows: Any, value: str) -> Any:
    wanted: dict[str, dict[str, Any]] = {
        "待核实": {"case": None, "settled_at": None},
        "已立案": {"case__isnull": False},
        "核实无异常": {"case": None, "settled_at__isnull": False},
    }
    return rows.filter(**wanted[value])


@page(permission="exchange.read")
def suspicion(request: ActorRequest, number: int) -> HttpResponse:
    """One suspicion: its figures, its picture, and what an officer may do about it."""
    found = queries.suspicion(request.actor, number)
    if found is None:
        raise Http404
    return render(request, "exchange/suspicion.html", _shown(request, found))


class NoteForm(Styled):
    """Why a suspicion is in order."""

    note = forms.CharField(
        label="核实的情况",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="例如：该部门当日集中办理年度年检，已电话核实。",
    )


def _shown(request: ActorRequest, found: Any) -> dict[str, object]:
    evidence = found.evidence
    labels = [f"{h}:00" for h in range(rules.HOURS)]
    grant = found.grant
    facts: list[tuple[str, object]] = [
        ("日期", found.day),
        ("使用部门", grant.grantee.name),
        ("数据", str(grant.resource or "")),
        ("授权", _link(address_of("sharing:grant", grant.code), grant.code)),
        ("授权用途", grant.terms.get("purpose", "")),
        *(tuple(pair) for pair in evidence.get("figures", [])),
    ]
    if found.case is not None:
        facts.append(
            ("办件", _link(address_of("sharing:matter", found.case.code), found.case.code))
        )
    if found.settled_at:
        facts.append(("核实说明", found.settled_note))
    return {
        "suspicion": found,
        "tone": TONES[found.standing],
        "may_judge": request.actor.may("exchange.judge") and found.waiting,
        "note_form": NoteForm(),
        "facts": facts,
        "figure": charts.Chart(
            "bar",
            "当日与平时各时段的调用次数",
            labels,
            [
                charts.Series("平时", evidence.get("usual") or [0] * rules.HOURS),
                charts.Series("当日", evidence.get("hours") or [0] * rules.HOURS),
            ],
            "次",
            first_column="时段",
        ),
    }


def _link(url: str, text: str) -> str:
    return format_html('<a href="{}">{}</a>', url, text) if url else text


@page(permission="exchange.judge")
@require_POST
def judge(request: ActorRequest, number: int, verb: str) -> HttpResponse:
    """Open a case, or find it in order."""
    found = queries.suspicion(request.actor, number)
    if found is None or verb not in ("case", "settle"):
        raise Http404
    here = reverse("exchange:suspicion", args=[number])
    try:
        if verb == "case":
            case = actions.open_case(suspicion=found, by=request.actor)
            messages.success(request, f"已立案（{case.code}），由数据主管部门核实。")
            return redirect(address_of("sharing:matter", case.code) or here)
        actions.settle(suspicion=found, note=request.POST.get("note", ""), by=request.actor)
        messages.success(request, "已登记为核实无异常。")
    except UserError as error:
        messages.error(request, str(error))
    return redirect(here)
