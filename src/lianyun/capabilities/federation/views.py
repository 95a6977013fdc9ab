"""Views: federated services, one with its sources, and the page on which one is made without code."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Column, Empty, Table

from . import actions, queries, rules

MASKS = {
    "name": "保留姓氏",
    "citizen_number": "保留首尾",
    "phone": "隐去中间四位",
    "address": "保留前六字",
    "account": "保留后四位",
    "all": "全部隐去",
}


@page(permission="federation.read")
def listing(request: ActorRequest) -> HttpResponse:
    """All federated services."""
    table = Table(
        request,
        queries.made(request.actor),
        columns=[
            Column(
                "title",
                "名称",
                primary=True,
                link=lambda m: reverse("federation:detail", args=[m.name]),
                sub=lambda m: f"/api/data/{m.name}:federated",
            ),
            Column("owner", "提供部门"),
            Column("parts", "数据来自", cell=lambda m: "、".join(p[0] for p in m.parts)),
            Column(
                "down",
                "数据源",
                kind="badge",
                cell=lambda m: f"{m.down} 个不可用" if m.down else "正常",
                tone=lambda m: "red" if m.down else "green",
            ),
        ],
        caption="联邦查询服务",
        export_name="联邦查询服务",
        empty=Empty(
            "还没有联邦查询服务",
            "数据留在部门自己的数据库里，调用时才去查。选几个表、选好数据项，就能做成一个服务。",
            reverse("federation:new") if request.actor.may("federation.design") else "",
            "制作联邦查询服务",
            icon="merge",
        ),
    )
    may = request.actor.may("federation.design")
    return table.respond(request, "federation/list.html", {"may_design": may})


@page(permission="federation.read")
def detail(request: ActorRequest, name: str) -> HttpResponse:
    """One service: its fields and where each comes from, its sources and how they stand."""
    found = queries.one(request.actor, name)
    if found is None:
        raise Http404
    design = found.service.design
    titles = [p[0] for p in found.parts]
    outputs = design.get("outputs", {})
    return render(
        request,
        "federation/detail.html",
        {
            "found": found,
            "consents": queries.agreed_for(request.actor, found.resource, found.service),
            "fields": [
                (c, titles[outputs[c["name"]][0]], MASKS.get(c["mask"], "不脱敏"))
                for c in found.service.columns
                if c["name"] in outputs
            ],
            "facts": [
                ("地址", f"/api/data/{found.name}:federated"),
                ("提供部门", found.owner),
                (
                    "查询条件",
                    "、".join(_titles(found, [c for way in found.service.lookups for c in way])),
                ),
                ("按范围查询", "、".join(_titles(found, design.get("ranges", []))) or "不提供"),
                ("最长等待", f"{design.get('seconds', 5)} 秒"),
                ("每日次数上限", found.service.calls_per_day or "按授权"),
            ],
        },
    )


def _titles(found: queries.Made, names: list[str]) -> list[str]:
    known = {c["name"]: c["title"] for c in found.service.columns}
    return [known.get(n, n) for n in names]


class TablesForm(Styled):
    """Which tables: the first is the one that is asked, the others add to its rows."""

    base = forms.ChoiceField(label="主表", help_text="按它的数据项查询；其他表按关联补充数据项。")
    more = forms.MultipleChoiceField(
        label="再关联这些表",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=f"连主表在内最多 {rules.MOST_TABLES} 个。",
    )

    def __init__(self, tables: list[queries.Table], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(t.ref, f"{t.owner}·{t.title}（{t.kind}）") for t in tables]
        self.fields["base"].choices = [("", "请选择"), *choices]  # type: ignore[attr-defined]
        self.fields["more"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """At most so many tables, the first not twice."""
        data = super().clean() or {}
        more = [m for m in data.get("more", []) if m != data.get("base")]
        if len(more) >= rules.MOST_TABLES:
            self.add_error("more", f"连主表在内最多 {rules.MOST_TABLES} 个")
        data["more"] = more
        return data


class DrawingForm(Styled):
    """Fields, keys, conditions and limits of a service over chosen tables."""

    title = forms.CharField(label="服务名称", max_length=80)
    name = forms.CharField(
        label="标识", max_length=41, help_text="接口地址的一部分，如 person_overview。"
    )
    summary = forms.CharField(
        label="说明", max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(
        self,
        tables: list[queries.Table],
        known: dict[str, list[rules.Column]],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tables = tables
        first = known[tables[0].ref]
        choices = [(c.name, c.title) for c in first]
        self.fields["lookups"] = forms.MultipleChoiceField(
            label="查询条件",
            choices=[(c.name, c.title) for c in first if c.identity] or choices,
            widget=forms.CheckboxSelectMultiple,
            help_text="调用方每次用其中一个来查。",
            initial=[c.name for c in first if c.check][:1],
        )
        dates = [(c.name, c.title) for c in first if c.rangeable]
        if dates:
            self.fields["ranges"] = forms.MultipleChoiceField(
                label="还可按日期范围查询",
                choices=dates,
                required=False,
                widget=forms.CheckboxSelectMultiple,
            )
        for number, table in enumerate(tables):
            columns = known[table.ref]
            if number:
                here, there = rules.partner(columns, first)
                self.fields[f"key_{number}"] = forms.ChoiceField(
                    label=f"“{table.title}”按哪一项关联",
                    choices=[("", "请选择"), *((c.name, c.title) for c in columns)],
                    initial=here,
                )
                self.fields[f"on_{number}"] = forms.ChoiceField(
                    label=f"对应主表“{tables[0].title}”的",
                    choices=[("", "请选择"), *choices],
                    initial=there,
                )
                self.fields[f"strict_{number}"] = forms.BooleanField(
                    label=f"只返回在“{table.title}”中也有记录的", required=False
                )
            self.fields[f"fields_{number}"] = forms.MultipleChoiceField(
                label=f"“{table.title}”提供哪些数据项",
                choices=[(c.name, _described(c)) for c in columns],
                widget=forms.CheckboxSelectMultiple,
            )
        self.fields["seconds"] = forms.IntegerField(
            label="最长等待（秒）", min_value=1, max_value=rules.LONGEST_SECONDS, initial=5,
            help_text="部门数据库超过这个时间没有答复，调用方会得到说明。",
        )  # fmt: skip
        self.fields["calls_per_day"] = forms.IntegerField(
            label="每日次数上限", min_value=0, max_value=10_000_000, initial=0,
            help_text="0 表示按各授权的约定。",
        )  # fmt: skip

    def drawing(self) -> rules.Drawing:
        """The drawing that the form describes."""
        told = self.cleaned_data
        tables = tuple(
            rules.Chosen(
                table.ref,
                tuple(told.get(f"fields_{n}", ())),
                str(told.get(f"key_{n}", "")),
                str(told.get(f"on_{n}", "")),
                not told.get(f"strict_{n}"),
            )
            for n, table in enumerate(self.tables)
        )
        return rules.Drawing(
            name=told["name"],
            title=told["title"],
            summary=told["summary"],
            tables=tables,
            lookups=tuple(told["lookups"]),
            ranges=tuple(told.get("ranges", ())),
            seconds=told["seconds"],
            calls_per_day=told["calls_per_day"],
        )


def _described(column: rules.Column) -> str:
    mask = MASKS.get(column.mask)
    return f"{column.title}（{mask}）" if mask else column.title


@page(permission="federation.design")
def new(request: ActorRequest) -> HttpResponse:
    """Choose the tables; then, on the same page, their fields, keys, conditions and limits."""
    viewer = request.actor
    tables = queries.tables(viewer)
    picked = TablesForm(tables, request.GET if request.GET.get("base") else None)
    context: dict[str, Any] = {"tables_form": picked, "any": bool(tables)}
    if not picked.is_bound or not picked.is_valid():
        return render(request, "federation/new.html", context)
    try:
        chosen = queries.chosen(viewer, [picked.cleaned_data["base"], *picked.cleaned_data["more"]])
        known = {t.ref: queries.columns(viewer, t) for t in chosen}
    except UserError as error:
        picked.add_error(None, str(error))
        return render(request, "federation/new.html", context)
    context["consents"] = queries.agreed(viewer, chosen)
    form = DrawingForm(chosen, known, request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not once(request):
            return redirect("federation:list")
        try:
            made = actions.draw_up(drawing=form.drawing(), by=viewer)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "联邦查询服务已开通，其他部门可以在目录中申请使用。")
            return redirect("federation:detail", name=made.source.name)
    return render(request, "federation/new.html", {**context, "form": form, "chosen": chosen})
