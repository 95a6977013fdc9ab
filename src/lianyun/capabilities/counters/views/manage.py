"""The manager: hours, queues, counters, terminals, and the figures of a day with pictures."""

from __future__ import annotations

import datetime as dt

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.forms import Styled, once
from lianyun.ui.pages import ActorRequest, page

from ..actions import closings
from ..actions import devices as terminals
from ..actions import halls as actions
from ..queries import bookings
from ..queries import figures as numbers
from ..queries import halls as queries
from ..queries import tickets as waiting
from ..rules import hours

READ, MANAGE = queries.READ, queries.MANAGE


class HallForm(Styled):
    """Where and when."""

    title = forms.CharField(label="名称", max_length=100)
    address = forms.CharField(label="地址", max_length=200, required=False)
    phone = forms.CharField(label="电话", max_length=40, required=False)
    days = forms.ChoiceField(label="开放日", choices=list(hours.DAYS.items()))
    hours_text = forms.CharField(
        label="开放时间", max_length=200, help_text="如：09:00-12:00 13:30-17:00"
    )
    closed = forms.CharField(
        label="另行休息的日子",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="每行一天，如 2026-12-31；法定节假日不用写",
    )


class ClosingForm(Styled):
    """A day on which a hall or a queue does not open."""

    day = forms.DateField(label="停办日期", widget=forms.DateInput(attrs={"type": "date"}))
    letter = forms.ChoiceField(label="停办范围", required=False)
    reason = forms.CharField(
        label="原因", max_length=200, help_text="会告知预约的人，如：系统升级、大厅检修"
    )
    move = forms.ChoiceField(
        label="已有的预约",
        choices=[
            ("", "取消，由本人一键改约"),
            ("yes", "改到最近的空闲时段，没有的取消"),
        ],
        required=False,
    )


class QueueForm(Styled):
    """One queue."""

    letter = forms.CharField(
        label="字母", max_length=1, help_text="号码的开头，如 A；已有的字母即为修改"
    )
    title = forms.CharField(label="名称", max_length=40)
    capacity = forms.IntegerField(label="每个时段可预约人数", min_value=0, max_value=200)
    departments = forms.MultipleChoiceField(
        label="受理哪些部门的事项",
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}),
        help_text="都不选：受理全部事项（综合受理）",
    )
    items = forms.CharField(
        label="另外指定的事项代码", required=False, max_length=500, help_text="用空格分开，可不填"
    )


class CounterForm(Styled):
    """One counter."""

    number = forms.IntegerField(
        label="窗口号", min_value=1, max_value=999, help_text="已有的窗口号即为修改"
    )
    title = forms.CharField(label="名称", max_length=40)
    letters = forms.MultipleChoiceField(
        label="受理队列", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="都不选：受理全部队列（综合窗口）",
    )  # fmt: skip
    active = forms.BooleanField(label="启用", required=False, initial=True)


class DeviceForm(Styled):
    """One terminal."""

    name = forms.CharField(label="终端名称", max_length=60, help_text="如：大厅东门 1 号机")
    street = forms.CharField(label="安放地点", max_length=120, help_text="街道、楼层、位置")


@page(permission=READ)
def home(request: ActorRequest) -> HttpResponse:
    """The halls that the viewer's department keeps."""
    now = timezone.now()
    rows = [
        {
            "hall": h,
            "open": queries.open_now(h, now),
            "queues": waiting.queues(request.actor, h, now),
        }
        for h in queries.managed(request.actor)
    ]
    return render(request, "counters/manage.html", {"rows": rows})


@page(permission=READ)
def hall(request: ActorRequest, code: str) -> HttpResponse:
    """One hall: how it is set up; its hours can be changed."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code)
    start = {
        "title": found.title,
        "address": found.address,
        "phone": found.phone,
        "days": found.days,
        "hours_text": " ".join(f"{a}-{b}" for a, b in found.hours),
        "closed": "\n".join(found.closed),
    }
    form = HallForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_hall(found, by=viewer, **form.cleaned_data)
            messages.success(request, "已保存。")
            return redirect("counters:manage_hall", code=code)
        except UserError as wrong:
            form.add_error(None, str(wrong))
    slugs = {s for q in found.queues for s in q.get("departments", ())}
    names = queries.department_names(viewer, slugs)
    return render(
        request,
        "counters/manage_hall.html",
        {
            "hall": found,
            "form": form,
            "counters": queries.counters(viewer, found, active=False),
            "queues": [
                (
                    q,
                    "、".join(
                        [*(names.get(d, d) for d in q.get("departments", ())), *q.get("items", ())]
                    ),
                )
                for q in found.queues
            ],
            "may_manage": viewer.may(MANAGE, found.department),
            "arranged": queries.arranged(viewer, found),
        },
    )


@page(permission=MANAGE)
def closing(request: ActorRequest, code: str) -> HttpResponse:
    """Close a day: how many appointments it touches is shown first; lift a closing."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code, MANAGE)
    do = request.POST.get("do", "")
    form = ClosingForm(request.POST if do in ("look", "close") else None)
    form.fields["letter"].choices = [  # type: ignore[attr-defined]
        ("", "全厅"),
        *((q["letter"], f"{q['letter']} {q['title']}") for q in found.queues),
    ]
    touched: int | None = None
    if request.method == "POST":
        try:
            if do == "lift":
                row = next(
                    (c for c in queries.arranged(viewer, found) if str(c.pk) == request.POST.get("closing")),
                    None,
                )  # fmt: skip
                if row is None:
                    raise UserError("没有这项停办安排")
                closings.lift_closing(row, by=viewer)
                messages.success(request, "已恢复开放；已经改期或取消的预约不变。")
                return redirect("counters:manage_hall", code=code)
            if form.is_valid():
                told = form.cleaned_data
                touched = bookings.affected(viewer, found, told["day"], told["letter"])
                if do == "close":
                    if once(request):
                        made = closings.close_day(
                            found, told["day"], reason=told["reason"], letter=told["letter"],
                            move=bool(told["move"]), by=viewer,
                        )  # fmt: skip
                        messages.success(
                            request,
                            f"已安排停办：{made.moved} 个预约改期，{made.called_off} 个取消，均已告知。",
                        )
                    return redirect("counters:manage_hall", code=code)
        except UserError as wrong:
            if do == "lift":
                messages.error(request, str(wrong))
                return redirect("counters:manage_hall", code=code)
            form.add_error(None, str(wrong))
    return render(
        request,
        "counters/closing.html",
        {"hall": found, "form": form, "touched": touched},
    )


@page(permission=MANAGE)
def queue(request: ActorRequest, code: str) -> HttpResponse:
    """Add, change or drop one queue."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code, MANAGE)
    old = found.queue(request.GET.get("letter", ""))
    form = QueueForm(request.POST or None, initial={**old, "items": " ".join(old.get("items", ()))})
    choices = queries.departments(viewer)
    form.fields["departments"].choices = choices  # type: ignore[attr-defined]
    if request.method == "POST":
        try:
            if request.POST.get("do") == "drop":
                actions.drop_queue(found, request.POST.get("letter", ""), by=viewer)
                messages.success(request, "队列已删除。")
                return redirect("counters:manage_hall", code=code)
            if form.is_valid():
                told = {**form.cleaned_data, "items": form.cleaned_data["items"].split()}
                actions.edit_queue(found, by=viewer, **told)
                messages.success(request, "已保存。")
                return redirect("counters:manage_hall", code=code)
        except UserError as wrong:
            if request.POST.get("do") == "drop":
                messages.error(request, str(wrong))
                return redirect("counters:manage_hall", code=code)
            form.add_error(None, str(wrong))
    return render(
        request,
        "counters/manage_part.html",
        {"hall": found, "form": form, "title": "队列", "drop": old if old.get("title") else None},
    )


@page(permission=MANAGE)
def counter(request: ActorRequest, code: str) -> HttpResponse:
    """Add or change one counter."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code, MANAGE)
    wanted = request.GET.get("number", "")
    old = next(
        (c for c in queries.counters(viewer, found, active=False) if str(c.number) == wanted), None
    )
    start = (
        {"number": old.number, "title": old.title, "letters": old.letters, "active": old.active}
        if old
        else {"active": True}
    )
    form = CounterForm(request.POST or None, initial=start)
    form.fields["letters"].choices = [  # type: ignore[attr-defined]
        (q["letter"], f"{q['letter']} {q['title']}") for q in found.queues
    ]
    if request.method == "POST" and form.is_valid():
        try:
            actions.edit_counter(found, by=viewer, **form.cleaned_data)
            messages.success(request, "已保存。")
            return redirect("counters:manage_hall", code=code)
        except UserError as wrong:
            form.add_error(None, str(wrong))
    return render(
        request, "counters/manage_part.html", {"hall": found, "form": form, "title": "窗口"}
    )


@page(permission=READ)
def devices(request: ActorRequest, code: str) -> HttpResponse:
    """A hall's terminals: where, when last seen; register one, a new code, out of use."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code)
    rows = queries.devices(viewer, found)
    do = request.POST.get("do", "")
    form = DeviceForm(request.POST if do == "add" else None)
    told: tuple[str, str] | None = None
    if request.method == "POST":
        try:
            if not once(request):
                return redirect("counters:devices", code=code)
            one = next((d for d in rows if str(d.pk) == request.POST.get("device")), None)
            if do == "add" and form.is_valid():
                made, key = terminals.add_device(found, by=viewer, **form.cleaned_data)
                told, form = (made.name, key), DeviceForm()
            elif do == "code" and one is not None:
                told = (one.name, terminals.renew_code(one, by=viewer))
            elif do == "close" and one is not None:
                terminals.close_device(one, by=viewer)
                messages.success(request, "终端已停用。")
                return redirect("counters:devices", code=code)
        except UserError as wrong:
            messages.error(request, str(wrong))
        rows = queries.devices(viewer, found)
    now = timezone.now()
    return render(
        request,
        "counters/devices.html",
        {
            "hall": found,
            "rows": [
                (d, d.last_seen is not None and now - d.last_seen < dt.timedelta(minutes=5))
                for d in rows
            ],
            "form": form,
            "told": told,
            "may_manage": viewer.may(MANAGE, found.department),
        },
    )


@page(permission=READ)
def figures(request: ActorRequest, code: str) -> HttpResponse:
    """A day in figures: waits by hour (p50, p90), what each counter did."""
    viewer = request.actor
    found = queries.managed_hall(viewer, code)
    days = numbers.days(viewer, found)
    wanted = request.GET.get("day", "")
    on = next((d for d in days if d.isoformat() == wanted), days[0] if days else None)
    if on is None:
        return render(request, "counters/figures.html", {"hall": found})
    told = numbers.day(viewer, found, on)
    return render(
        request,
        "counters/figures.html",
        {
            "hall": found,
            "days": days,
            "on": on,
            "f": told,
            "waits": charts.Chart(
                "line",
                "各时段等候时间",
                [h.label for h in told.hours],
                [
                    charts.Series("一半的人不超过（p50）", [h.half for h in told.hours]),
                    charts.Series("九成的人不超过（p90）", [h.most for h in told.hours]),
                ],
                "分钟",
                first_column="取号时段",
            ),
            "loads": charts.Chart(
                "bars",
                "各窗口办理时间",
                [load.counter for load in told.loads],
                [charts.Series("办理时间", [load.busy for load in told.loads])],
                "分钟",
                first_column="窗口",
            ),
        },
    )
