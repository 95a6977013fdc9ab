"""Forms: what a step of a matter asks beside its reason, and what a matter's data are called."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from lianyun.ui.forms import Styled

_DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

DATA_TITLES = {
    "found_by": "发现人",
    "why": "处置事由",
    "wanted": "提供部门的处置要求",
    "reason": "理由",
    "report": "整改报告",
}


class TermForm(Styled):
    """Within how many working days things are to be put right."""

    days = forms.IntegerField(
        label="整改期限（工作日）",
        min_value=1,
        max_value=60,
        initial=15,
        required=False,
        help_text="仅在要求整改时填写；由数据主管部门确定（条例第二十七条“限期整改”）",
    )


class DisposedForm(Styled):
    """How the data were disposed of, by whom, when, with what proof."""

    how = forms.CharField(
        label="处置方式和结果",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="如：已删除业务库中的接收表和缓存，删除 12,345 行，并核对为空",
    )
    who = forms.CharField(label="处置人", max_length=60)
    on = forms.DateField(label="处置日期", widget=_DATE)
    copies = forms.CharField(
        label="副本和备份的处理",
        max_length=300,
        required=False,
        help_text="如：备份随 30 天轮转清除，最后一份于某日删除",
    )
    attachment = forms.CharField(
        label="附件内容",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="可粘贴删除记录、销毁单等文字",
    )


def form_of(viewer: Any, case: Any, step: str, data: Any = None) -> Styled | None:
    """The form of a step, filled from `data` where it was sent; None where a reason is enough."""
    if (case.path.key, step) in (("misuse", "verify"), ("misuse", "review")):
        return TermForm(data)
    if (case.path.key, step) == ("disposal", "dispose"):
        return form_of_disposal(viewer, data)
    return None


def form_of_disposal(viewer: Any, data: Any = None) -> DisposedForm:
    """The form of a disposal, by the viewer and today unless told otherwise."""
    return DisposedForm(data, initial={"who": viewer.name, "on": timezone.localdate().isoformat()})


def sent(form: Styled) -> dict[str, Any]:
    """What a valid form says, as the actions take it: days as ISO text, nothing empty."""
    out: dict[str, Any] = {}
    for key, value in form.cleaned_data.items():
        if value not in (None, ""):
            out[key] = value.isoformat() if hasattr(value, "isoformat") else value
    return out
