"""Builder: a data officer makes a service on one page, without code: data, kind, conditions, limits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, queries, rules
from .pages import MASKS, address

PREVIEW_ROWS = 4
GROUPS = {
    "query": ("lookups", "ranges"),
    "verify": ("lookups", "values", "least", "tries", "tell"),
    "statistics": ("by", "measures", "group"),
}
"""Which parts of the form belong to which kind."""
_BOXES = forms.CheckboxSelectMultiple
_NOTHING: list[str] = []


class DesignForm(Styled):
    """One service: its kind, fields, conditions and limits."""

    kind = forms.ChoiceField(
        label="服务类型",
        choices=[
            ("query", "查询：给出符合条件的记录，按授权脱敏"),
            ("verify", "核验：只答一致、不一致或查无此人，不给出数据"),
            ("statistics", "统计：只给出人数、合计、平均，不给出个人"),
        ],
        widget=forms.RadioSelect,
        initial="query",
    )
    fields_ = forms.MultipleChoiceField(
        label="数据项",
        widget=_BOXES,
        help_text="服务最多给出这些；每个部门实际得到的以其授权为准。右侧是默认的脱敏方式。",
    )
    lookups = forms.MultipleChoiceField(
        label="查询条件",
        required=False,
        widget=_BOXES,
        help_text="调用方每次用其中一种来查。",
    )
    ranges = forms.MultipleChoiceField(
        label="还可按范围查询",
        required=False,
        widget=_BOXES,
        help_text="起止均含，结果分页；调用方须有“按范围查询”的授权。",
    )
    values = forms.MultipleChoiceField(label="可核验的数据项", required=False, widget=_BOXES)
    least = forms.IntegerField(
        label="每次至少核验几项", min_value=1, max_value=50, initial=1, required=False
    )
    tries = forms.IntegerField(
        label="同一对象每日最多不一致次数",
        min_value=1,
        max_value=100,
        initial=rules.TRIES,
        required=False,
        help_text="防止逐个试出答案。",
    )
    tell = forms.BooleanField(
        label="告诉调用方哪一项不一致", required=False, help_text="默认不告诉。"
    )
    by = forms.MultipleChoiceField(
        label="分组维度",
        required=False,
        widget=_BOXES,
        help_text="调用方每次最多用三个；能识别个人的数据项不在其中。",
    )
    measures = forms.MultipleChoiceField(label="可求合计、平均", required=False, widget=_BOXES)
    group = forms.IntegerField(
        label="最小组人数",
        min_value=3,
        max_value=1000,
        initial=5,
        required=False,
        help_text="少于此数的组不给出，也不能由其他组推算。",
    )
    calls_per_second = forms.IntegerField(
        label="每个授权每秒次数上限",
        min_value=0,
        max_value=10_000,
        initial=50,
        help_text="0 为不限；授权中更严的优先。",
    )
    calls_per_day = forms.IntegerField(
        label="每个授权每日次数上限", min_value=0, max_value=10_000_000, initial=0
    )

    def __init__(
        self, fields: list[rules.Field], key: list[str], exists: bool, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        titles = {f.name: f.title for f in fields}
        plain = [f for f in fields if f.name not in rules.RESERVED]

        def offer(name: str, choices: list[tuple[str, str]], initial: list[str]) -> None:
            box: Any = self.fields[name]
            box.choices, box.initial = choices, initial

        offer(
            "fields_",
            [(f.name, f"{f.title}（{MASKS.get(f.mask, '已脱敏')}）") for f in fields],
            [f.name for f in fields],
        )
        ways = [tuple(way) for way in rules.lookups_of(key, fields)]
        single = [(f.name,) for f in plain if f.type != "M" and (f.name,) not in ways]
        named = [(",".join(w), "＋".join(titles.get(c, c) for c in w)) for w in [*ways, *single]]
        offer("lookups", named, [",".join(w) for w in ways])
        ranges = [(f.name, f.title) for f in plain if rules.rangeable(f)]
        offer("ranges", ranges, _NOTHING)
        offer("values", [(f.name, f.title) for f in fields if f.name not in key], _NOTHING)
        offer("by", [(f.name, f.title) for f in plain if rules.groupable(f)], _NOTHING)
        offer("measures", [(f.name, f.title) for f in fields if rules.countable(f)], _NOTHING)
        for name, box in list(self.fields.items()):
            if isinstance(box.widget, _BOXES) and not box.choices:  # type: ignore[attr-defined]
                del self.fields[name]
        if exists:
            self.fields["new_version"] = forms.BooleanField(
                label="发布为新版本",
                required=False,
                help_text="同类服务已经存在：不勾选则在现有版本上增加内容；要减少内容请勾选，旧版本仍可调用。",
            )

    def parts(self) -> list[dict[str, Any]]:
        """The form's fields in groups, each with the kinds that it belongs to."""
        of: dict[str, list[str]] = {}
        for kind, names in GROUPS.items():
            for name in names:
                of.setdefault(name, []).append(kind)
        return [{"field": self[n], "kinds": " ".join(of.get(n, ()))} for n in self.fields]

    def design(self) -> rules.Design:
        """What was drawn up."""
        data = self.cleaned_data
        return rules.Design(
            lookups=tuple(tuple(way.split(",")) for way in data.get("lookups", ())),
            ranges=tuple(data.get("ranges", ())),
            values=tuple(data.get("values", ())),
            least=data.get("least") or 1,
            tell=bool(data.get("tell")),
            tries=data.get("tries") or rules.TRIES,
            by=tuple(data.get("by", ())),
            measures=tuple(data.get("measures", ())),
            group=data.get("group") or 5,
        )


@page(permission="services.design")
def build(request: ActorRequest) -> HttpResponse:
    """Choose data, draw up a service, see what it would give, publish it."""
    viewer = request.actor
    name = request.GET.get("source", "")
    choices = queries.sources(viewer).order_by("title")
    if not name:
        return render(request, "services/build.html", {"choices": choices})
    source = queries.source(viewer, name)
    if source is None:
        raise Http404
    fields = queries.fields(viewer, source)
    key = queries.key_of(viewer, source)
    exists = queries.service(viewer, name) is not None if viewer.may("services.read") else False
    form = DesignForm(fields, key, exists, request.POST or None)
    preview: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        wanted = {c for way in data.get("lookups", ()) for c in way.split(",")}
        wanted.update(data.get("values", ()), data.get("by", ()), data.get("measures", ()))
        wanted.update(data.get("ranges", ()))
        chosen = [f.name for f in fields if f.name in {*data["fields_"], *wanted}]
        if request.POST.get("do") == "preview":
            wrong = rules.problems(
                data["kind"], form.design(), [f for f in fields if f.name in chosen]
            )
            for text in wrong.values():
                form.add_error(None, text)
            if not wrong:
                preview = queries.preview(viewer, source, chosen, PREVIEW_ROWS)
        elif not once(request):
            return redirect("services:detail", name)
        else:
            try:
                made = actions.design_service(
                    source=source,
                    kind=data["kind"],
                    fields=chosen,
                    design=form.design(),
                    calls_per_day=data["calls_per_day"],
                    calls_per_second=data["calls_per_second"],
                    new_version=bool(data.get("new_version")),
                    by=viewer,
                )
            except UserError as wrong_:
                form.add_error(None, str(wrong_))
            else:
                messages.success(request, f"{made.resource.title}已发布，可以领取测试凭证试用")
                return redirect(address(made))
    return render(
        request,
        "services/build.html",
        {"choices": choices, "source": source, "form": form, "preview": preview},
    )
