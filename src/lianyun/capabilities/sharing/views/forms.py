"""Forms: what a department fills in when it asks, answers, stops or ends a share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils import timezone

from lianyun.capabilities.services.api import Field
from lianyun.ui.forms import Styled

from .. import rules

_DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
_LONG = {"rows": 3, "maxlength": 1000}


class UseForm(Styled):
    """Why, how, until when and how much: what a request says whatever data it is for (art. 20)."""

    basis = forms.CharField(
        label="使用依据",
        max_length=1000,
        widget=forms.Textarea(attrs=_LONG),
        help_text="法律、法规、规章或部门职责的名称和条款，如《社会救助暂行办法》第十二条",
    )
    scene = forms.CharField(
        label="使用场景",
        max_length=1000,
        widget=forms.Textarea(attrs=_LONG),
        help_text="在哪项业务的哪个环节使用",
    )
    purpose = forms.CharField(
        label="用途", max_length=200, help_text="一句话，将写入授权和每次调用的记录"
    )
    operations = forms.MultipleChoiceField(
        label="使用方式",
        choices=list(rules.OPERATIONS.items()),
        widget=forms.CheckboxSelectMultiple,
        initial=["query"],
        help_text="只需确认信息真伪的，请选“核验”，不必取回数据",
    )
    until = forms.DateField(label="使用时限", widget=_DATE, help_text="到期自动停止，最长 5 年")
    calls_per_day = forms.IntegerField(
        label="每日调用次数上限", min_value=1, max_value=rules.MOST_CALLS, initial=1000
    )
    calls_per_second = forms.IntegerField(
        label="每秒调用次数上限", min_value=1, max_value=rules.MOST_PER_SECOND, initial=10
    )
    networks = forms.CharField(
        label="允许的网段",
        max_length=1000,
        required=False,
        help_text="如 10.1.2.0/24，多个用逗号分隔；不限制请留空",
    )
    signature = forms.ChoiceField(
        label="请求签名",
        choices=list(rules.SIGNATURES.items()),
        initial="none",
        help_text="高敏感数据可要求每次请求由调用方签名",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.initial.get("until"):
            self.initial["until"] = timezone.localdate() + dt.timedelta(days=365)


class PartForm(Styled):
    """Which items of one dataset, in clear or masked, and which of its rows."""

    fields_ = forms.MultipleChoiceField(
        label="数据项",
        widget=forms.CheckboxSelectMultiple,
        help_text="只选履行职责必需的数据项",
    )
    plain = forms.MultipleChoiceField(
        label="需要不脱敏（明文）的数据项",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="个人信息默认脱敏；确有必要使用明文的在此勾选并说明理由",
    )
    plain_reason = forms.CharField(label="使用明文的理由", max_length=500, required=False)
    scope_field = forms.ChoiceField(
        label="限定范围：按数据项", required=False, help_text="不限定则可查询全部记录"
    )
    scope_values = forms.CharField(
        label="限定范围：取值", max_length=1000, required=False, help_text="多个取值用逗号分隔"
    )

    def __init__(self, *args: Any, columns: Iterable[Field], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = list(columns)
        choices = [(f.name, f.title) for f in listed]
        self.fields["fields_"].choices = choices  # type: ignore[attr-defined]
        masked = [(f.name, f.title) for f in listed if f.mask != "none"]
        self.fields["plain"].choices = masked  # type: ignore[attr-defined]
        if not masked:
            del self.fields["plain"]
            del self.fields["plain_reason"]
        self.fields["scope_field"].choices = [("", "不限定"), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Values without the item they belong to are refused."""
        data = super().clean() or {}
        if _words(data.get("scope_values", "")) and not data.get("scope_field"):
            self.add_error("scope_field", "请选择限定范围的数据项")
        return data

    @property
    def known(self) -> list[str]:
        """The names of the dataset's items."""
        return [n for n, _ in self.fields["fields_"].choices]  # type: ignore[attr-defined]


def _words(text: str) -> tuple[str, ...]:
    parts = (w.strip() for w in text.replace("，", ",").replace("、", ",").split(","))
    return tuple(w for w in parts if w)


def request_of(use: dict[str, Any], part: dict[str, Any]) -> rules.Request:
    """The request that a valid UseForm and a valid PartForm say together."""
    column = part.get("scope_field")
    operations = tuple(use["operations"])
    return rules.Request(
        basis=use["basis"],
        scene=use["scene"],
        purpose=use["purpose"],
        fields=tuple(part["fields_"]),
        until=use["until"],
        plain=tuple(part.get("plain") or ()),
        plain_reason=part.get("plain_reason") or "",
        scope={column: _words(part.get("scope_values", ""))} if column else {},
        method=rules.method_of(operations),
        calls_per_day=use["calls_per_day"],
        operations=operations,
        calls_per_second=use["calls_per_second"],
        networks=_words(use.get("networks", "")),
        signature=use["signature"],
    )


class RequestForm(PartForm, UseForm):
    """A request for one dataset: use and part on one form."""

    field_order = ("basis", "scene", "purpose", "operations", "fields_", "plain")

    def clean(self) -> dict[str, Any]:
        """Check the whole with the rules of sharing; every problem lands at its field."""
        data = super().clean()
        if self.errors:
            return data
        self.request = request_of(data, data)
        add_problems(self, self, self.request)
        return data


def add_problems(use: Styled, part: PartForm, request: rules.Request) -> bool:
    """Put what the rules find wrong at the fields of the two forms; returns whether there is any."""
    places = {"fields": "fields_", "scope": "scope_values"}
    wrong = rules.problems(request, part.known, timezone.localdate())
    for name, text in wrong.items():
        place = places.get(name, name)
        if place in part.fields:
            part.add_error(place, text)
        else:
            use.add_error(place if place in use.fields else None, text)
    return bool(wrong)


def initial_of(request: rules.Request) -> dict[str, Any]:
    """A kept request as a form's initial values."""
    column, values = next(iter(request.scope.items()), ("", ()))
    return {
        "basis": request.basis,
        "scene": request.scene,
        "purpose": request.purpose,
        "operations": list(request.allowed_operations),
        "fields_": list(request.fields),
        "plain": list(request.plain),
        "plain_reason": request.plain_reason,
        "scope_field": column,
        "scope_values": "，".join(values),
        "until": request.until,
        "calls_per_day": request.calls_per_day,
        "calls_per_second": request.calls_per_second,
        "networks": "，".join(request.networks),
        "signature": request.signature,
    }


class AllowForm(Styled):
    """What the provider grants of what was asked: never more."""

    fields_ = forms.MultipleChoiceField(
        label="同意提供的数据项", widget=forms.CheckboxSelectMultiple, required=False
    )
    plain = forms.MultipleChoiceField(
        label="同意以明文提供的数据项", widget=forms.CheckboxSelectMultiple, required=False
    )
    operations = forms.MultipleChoiceField(
        label="同意的使用方式", widget=forms.CheckboxSelectMultiple, required=False
    )
    until = forms.DateField(label="同意的使用时限", widget=_DATE, required=False)
    calls_per_day = forms.IntegerField(label="同意的每日次数", min_value=1, required=False)
    calls_per_second = forms.IntegerField(label="同意的每秒次数", min_value=1, required=False)
    signature = forms.ChoiceField(
        label="请求签名", choices=list(rules.SIGNATURES.items()), required=False
    )
    disposal = forms.CharField(
        label="使用目的实现后的处置要求",
        max_length=500,
        required=False,
        help_text="如：使用完毕 10 日内删除并反馈",
    )

    def __init__(
        self, *args: Any, request: rules.Request, titles: dict[str, str], **kwargs: Any
    ) -> None:
        kwargs.setdefault("prefix", "allow")
        super().__init__(*args, **kwargs)
        named = [(f, titles.get(f, f)) for f in request.fields]
        asked = request.allowed_operations
        self.fields["fields_"].choices = named  # type: ignore[attr-defined]
        self.fields["plain"].choices = [(f, t) for f, t in named if f in request.plain]  # type: ignore[attr-defined]
        self.fields["operations"].choices = [(o, rules.OPERATIONS[o]) for o in asked]  # type: ignore[attr-defined]
        if not request.plain:
            del self.fields["plain"]
        self.fields["calls_per_day"].widget.attrs["max"] = request.calls_per_day
        self.fields["calls_per_second"].widget.attrs["max"] = request.calls_per_second
        self.initial = {
            "fields_": list(request.fields),
            "plain": list(request.plain),
            "operations": list(asked),
            "until": request.until,
            "calls_per_day": request.calls_per_day,
            "calls_per_second": request.calls_per_second,
            "signature": request.signature,
        }

    def allowed(self) -> dict[str, Any]:
        """The answer as the action takes it."""
        data = self.cleaned_data
        out: dict[str, Any] = {"fields": data["fields_"], "disposal": data["disposal"]}
        if "plain" in self.fields:
            out["plain"] = data["plain"]
        if data["until"]:
            out["until"] = data["until"].isoformat()
        for name in ("operations", "calls_per_day", "calls_per_second", "signature"):
            if data[name]:
                out[name] = data[name]
        return out


class ExtensionForm(Styled):
    """How many more working days, and why (art. 21)."""

    days = forms.IntegerField(
        label="延长工作日数", min_value=1, max_value=rules.MOST_EXTENSION_DAYS, initial=10
    )
    reason = forms.CharField(
        label="延长理由", max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )


class UseRecordForm(Styled):
    """What a receiver did with shared data (art. 29)."""

    kind = forms.ChoiceField(label="类别", choices=rules.USE_KINDS)
    text = forms.CharField(label="内容", max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))


class StopForm(Styled):
    """Why a share stops (art. 27, 35)."""

    reason = forms.CharField(label="理由", max_length=300, widget=forms.Textarea(attrs={"rows": 2}))


class MisuseForm(Styled):
    """What was seen that looks like misuse (art. 27, 40)."""

    summary = forms.CharField(
        label="发现的情况", max_length=200, help_text="一句话，将作为办件标题并告知使用部门"
    )
    kind = forms.ChoiceField(
        label="类型",
        choices=[(k, k) for k in ("超出使用范围", "超出共享目的", "擅自提供给第三方", "其他")],
    )
    text = forms.CharField(
        label="证据说明", max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )

    def evidence(self) -> dict[str, str]:
        """As the action takes it."""
        told = self.cleaned_data
        return {"summary": told["summary"], "kind": told["kind"], "text": told["text"]}
