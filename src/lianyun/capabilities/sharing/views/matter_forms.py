"""Forms: what a step of a matter asks beside its reason, and what a matter's data are called."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from lianyun.ui.forms import Styled

from .. import queries

_DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

DATA_TITLES = {
    "found_by": "发现人",
    "why": "处置事由",
    "wanted": "提供部门的处置要求",
    "reason": "理由",
    "report": "整改报告",
    "claim": "争议事实、理由和请求",
    "offer": "对方的解决意见",
    "settlement": "协调结果或决定",
    "document": "文号",
    "by_day": "承诺完成日期",
    "refusal": "上级不同意的理由",
    "rows": "回流行数",
    "share": "首次共享的申请",
}
NEED_TITLES = {
    "title": "需要的数据",
    "items": "数据项",
    "duty": "用于的事项或业务",
    "purpose": "用途",
    "basis": "职责依据",
    "cycle": "希望的更新周期",
    "repeated": "目前如何取得",
}
RETURN_TITLES = {
    "upper": "上级部门",
    "title": "数据名称",
    "items": "数据项",
    "areas": "行政区划代码",
    "basis": "履职依据",
    "purpose": "用途",
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


class AssignForm(Styled):
    """Who is to be the source department, or which entry of the catalogue is meant."""

    department = forms.ChoiceField(
        label="数源部门", required=False, help_text="选择“明确数源部门”时填写（条例第十九条）"
    )
    resource = forms.CharField(
        label="目录中的数据",
        max_length=300,
        required=False,
        help_text="选择“目录已有”时填写数据的名称、标识或代码",
    )

    def __init__(self, *args: Any, departments: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(d.slug, d.name) for d in departments if d.slug]
        self.fields["department"].choices = [("", "请选择"), *named]  # type: ignore[attr-defined]


class PromiseForm(Styled):
    """Until when the entry will be in the catalogue."""

    by_day = forms.DateField(
        label="承诺完成目录编制的日期", widget=_DATE, required=False, help_text="同意承担时填写"
    )


class EntryForm(Styled):
    """Which published entry of the own department it is."""

    resource = forms.ChoiceField(label="已发布的数据")

    def __init__(self, *args: Any, resources: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(r.name, f"{r.title}（{r.code}）") for r in resources]
        self.fields["resource"].choices = [("", "请选择"), *named]  # type: ignore[attr-defined]


class ArrivedForm(EntryForm):
    """Where the returned rows came in, and how many."""

    rows = forms.IntegerField(label="回流行数", min_value=0, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["resource"].label = "接入的数据集"
        self.fields["resource"].required = False


class DocumentForm(Styled):
    """The number of a paper outside this system."""

    document = forms.CharField(label="文号", max_length=100, required=False)


def form_of(viewer: Any, case: Any, step: str, data: Any = None) -> Styled | None:
    """The form of a step, filled from `data` where it was sent; None where a reason is enough."""
    match case.path.key, step:
        case ("misuse", "verify" | "review"):
            return TermForm(data)
        case ("disposal", "dispose"):
            return form_of_disposal(viewer, data)
        case ("need", "assign"):
            return AssignForm(data, departments=queries.departments(viewer))
        case ("need", "accept"):
            return PromiseForm(data)
        case ("need", "compile"):
            return EntryForm(data, resources=queries.published_of(viewer, case.department))
        case ("return_flow", "receive"):
            return ArrivedForm(data, resources=queries.published_of(viewer, case.applicant))
        case ("dispute", "decide") | ("return_flow", "forward"):
            return DocumentForm(data)
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
