"""Form: fields generated from declared items, with the checks of their elements; one-time tokens."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from lianyun.kernel.element import (
    Element,
    ElementSpec,
    Format,
    citizen_number_ok,
    credit_code_ok,
    domain_choices,
)

TOKEN = "once"

Choices = Callable[[str], Iterable[tuple[str, str]]]


def new_token() -> str:
    """A fresh token for a form that must not be sent twice."""
    return secrets.token_urlsafe(18)


def once(request: HttpRequest) -> bool:
    """True the first time this form is sent, False on every repetition of the same page.

    A form without a token counts as first (a programme's call); so `if not once(request): redirect`.
    """
    token = request.POST.get(TOKEN, "")
    if not token:
        return True
    session = getattr(request, "session", None)
    owner = (session.session_key if session is not None else "") or ""
    digest = hashlib.sha256(f"{owner}:{token}".encode()).hexdigest()
    # A session row of its own: its primary key makes "first" atomic over all processes, and
    # the expiry of sessions sweeps it away.
    mark = SessionStore()
    # Only now the key: setting anything on a store with an unknown key would forget that key.
    mark._session_key = f"once{digest[:28]}"
    try:
        mark.save(must_create=True)
    except CreateError:
        return False
    return True


def element_form(
    items: Iterable[Mapping[str, Any] | ElementSpec],
    *,
    choices: Choices = domain_choices,
    name: str = "ElementForm",
    readonly: Iterable[str] = (),
) -> type[forms.Form]:
    """A form class with one field for each declared item.

    An item is a mapping {name, title, element | type+format, required, help, domain, default} as in
    a dataset's declaration, or an ElementSpec (then required). Checks: type, length, pattern,
    domain, check digits; messages in Chinese.
    """
    fixed = set(readonly)
    fields: dict[str, forms.Field] = {}
    known = _known_elements(items := list(items))
    for item in items:
        if isinstance(item, ElementSpec):
            field_name, spec, data = item.code, item, {"required": True}
        else:
            field_name, data = str(item["name"]), dict(item)
            spec = _spec(data, known)
        made = field_of(spec, data, choices=choices)
        if field_name in fixed:
            made.disabled = True
        fields[field_name] = made
    return type(name, (Styled,), fields)


def _known_elements(items: Iterable[Mapping[str, Any] | ElementSpec]) -> dict[str, ElementSpec]:
    wanted = {
        str(i["element"]) for i in items if not isinstance(i, ElementSpec) and i.get("element")
    }
    if not wanted:
        return {}
    return {e.code: e.spec for e in Element.objects.filter(code__in=wanted)}


def _spec(item: dict[str, Any], known: Mapping[str, ElementSpec]) -> ElementSpec:
    base = known.get(str(item.get("element") or ""))
    if base is None:
        return ElementSpec.of(
            {"code": item["name"], "title": item.get("title", item["name"]), **item}
        )
    own = {
        k: v for k, v in item.items() if k in ("title", "format", "domain", "check", "type") and v
    }
    return ElementSpec.of({**base.__dict__, **own})


def field_of(
    spec: ElementSpec, item: Mapping[str, Any] | None = None, *, choices: Choices = domain_choices
) -> forms.Field:
    """The Django field of one element; `item` adds required, help, default, widget ("textarea")."""
    item = item or {}
    shape = spec.parsed
    options: dict[str, Any] = {
        "label": item.get("title") or spec.title,
        "required": bool(item.get("required", False)),
        "help_text": item.get("help") or _help(spec, shape),
        "initial": item.get("default"),
    }
    options["error_messages"] = {"required": f"请填写{options['label']}"}
    if spec.domain:
        pairs = list(choices(spec.domain))
        options["error_messages"] = {
            "required": f"请选择{options['label']}",
            "invalid_choice": "请从列表中选择",
        }
        return forms.ChoiceField(choices=[("", "请选择"), *pairs], **options)
    if spec.type == "L":
        return forms.TypedChoiceField(
            choices=[("", "请选择"), ("1", "是"), ("0", "否")],
            coerce=lambda v: v == "1",
            empty_value=None,
            **options,
        )
    if spec.type == "D":
        return forms.DateField(
            widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            input_formats=["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日"],
            **_messages(options, "日期应如 2026-11-22"),
        )
    if spec.type == "T":
        return forms.DateTimeField(
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
            input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"],
            **_messages(options, "时间应如 2026-11-22 09:30"),
        )
    if spec.type in "NYI" and shape.kind == "n":
        if shape.decimals:
            return forms.DecimalField(
                max_digits=shape.maximum,
                decimal_places=shape.decimals,
                **_messages(options, "请填写数字"),
            )
        top = 10 ** min(shape.maximum or 18, 18) - 1
        return forms.IntegerField(max_value=top, min_value=-top, **_messages(options, "请填写整数"))
    if spec.type in "BF":
        return forms.FloatField(**_messages(options, "请填写数字"))
    long = spec.type == "M" or item.get("widget") == "textarea" or (shape.maximum or 9999) > 200
    widget: forms.Widget = forms.Textarea(attrs={"rows": 4}) if long else forms.TextInput()
    return forms.CharField(
        max_length=shape.maximum,
        min_length=shape.minimum or None,
        widget=widget,
        validators=[lambda text: _check_text(spec, shape, text)],
        **options,
    )


def _messages(options: dict[str, Any], invalid: str) -> dict[str, Any]:
    return {**options, "error_messages": {**options["error_messages"], "invalid": invalid}}


def _help(spec: ElementSpec, shape: Format) -> str:
    if spec.check == "citizen_number":
        return "18 位公民身份号码，末位可为 X"
    if spec.check == "credit_code":
        return "18 位统一社会信用代码"
    if spec.definition and len(spec.definition) <= 80:
        return spec.definition
    if spec.type in "CMG" and shape.maximum and shape.maximum <= 200:
        return f"不超过 {shape.maximum} 个字" if not shape.minimum else ""
    if spec.unit:
        return f"单位：{spec.unit}"
    return ""


def _check_text(spec: ElementSpec, shape: Format, text: str) -> None:
    """Raise ValidationError where the text breaks its element's format or check digit."""
    if shape.kind == "n" and not re.fullmatch(r"\d+", text):
        raise ValidationError("只能填写数字")
    if shape.kind == "a" and re.search(r"\d", text):
        raise ValidationError("不能含有数字")
    if shape.pattern:
        wanted = "".join("[A-Za-z]" if c == "a" else r"\d" for c in shape.pattern)
        if not re.fullmatch(wanted, text):
            raise ValidationError("格式不符，请核对")
    if spec.check == "citizen_number" and not citizen_number_ok(text.upper()):
        raise ValidationError("公民身份号码有误：请核对位数、出生日期和末位校验码")
    if spec.check == "credit_code" and not credit_code_ok(text.upper()):
        raise ValidationError("统一社会信用代码有误：请核对 18 位代码和末位校验码")


class Styled(forms.Form):
    """A form drawn by `ui/_form.html`: no colon, Chinese messages, aria links to help and errors."""

    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for name, made in self.fields.items():
            made.error_messages.setdefault("required", "")
            if made.error_messages["required"] in (
                "",
                forms.Field.default_error_messages["required"],
            ):
                verb = (
                    "选择"
                    if isinstance(made, forms.ChoiceField | forms.ModelChoiceField)
                    else "填写"
                )
                made.error_messages["required"] = f"请{verb}{made.label or name}"


class Visitor(Styled):
    """Who stands before an officer with the identity card."""

    name = forms.CharField(label="姓名", max_length=50)
    number = forms.CharField(label="公民身份号码", max_length=18)
    seen = forms.BooleanField(
        label="已当面核对居民身份证原件与本人一致",
        error_messages={"required": "请当面核对居民身份证原件后勾选"},
    )

    def clean_number(self) -> str:
        """The number with its check digit."""
        number = str(self.cleaned_data["number"]).strip().upper()
        if not citizen_number_ok(number):
            raise forms.ValidationError("号码有误，请核对位数和末位")
        return number


def is_choice_list(bound: forms.BoundField) -> bool:
    """True for radios and checkbox groups, which want a fieldset with a legend."""
    return isinstance(bound.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)
