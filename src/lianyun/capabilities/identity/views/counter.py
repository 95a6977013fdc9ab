"""Counter: an officer proves who stands before him."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled
from lianyun.ui.pages import page

from .. import actions, queries, rules
from .entry import actor_in

DOCUMENTS = ["居民身份证", "临时居民身份证", "户口簿（未成年人）", "居民身份证电子证照"]


class ProofForm(Styled):
    """What stands in the document, typed by the officer who holds it."""

    name = forms.CharField(label="证件上的姓名", max_length=50)
    number = forms.CharField(
        label="证件上的公民身份号码",
        max_length=18,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    document = forms.ChoiceField(label="证件种类", choices=[(d, d) for d in DOCUMENTS])
    seen = forms.BooleanField(label="已当面比对证件照片与本人，确认一致")


class EntityForm(Styled):
    """The firm on the business licence."""

    credit_code = forms.CharField(label="营业执照上的统一社会信用代码", max_length=18)
    seen = forms.BooleanField(label="已核对营业执照和本人")


class NumberForm(Styled):
    """The new number in the police's certificate."""

    number = forms.CharField(label="变更后的公民身份号码", max_length=18)
    basis = forms.CharField(label="公安机关变更证明文号", max_length=200)
    seen = forms.BooleanField(label="已核对变更证明和本人")


class GuardianForm(Styled):
    """Whose guardian the visitor is, by which paper."""

    name = forms.CharField(label="被监护人姓名", max_length=50)
    number = forms.CharField(
        label="被监护人公民身份号码",
        max_length=18,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    ground = forms.ChoiceField(label="监护依据", choices=list(rules.GUARDIANSHIPS.items()))
    paper = forms.CharField(label="文书名称和编号", max_length=120)
    until = forms.DateField(
        label="复核日期",
        required=False,
        help_text="成年人的监护须填写，最长三年；未成年人到十八周岁前一日自动终止",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    seen = forms.BooleanField(label="已核对文书原件和本人")


class EndForm(Styled):
    """A representation or guardianship that ends, by which paper."""

    agency = forms.TypedChoiceField(label="代理关系", coerce=int)
    paper = forms.CharField(label="终止依据（文书名称和编号）", max_length=120)
    seen = forms.BooleanField(label="已核对文书原件和本人")

    def __init__(self, *args: Any, agencies: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["agency"]).choices = agencies


class CertificateForm(Styled):
    """The digits on the visitor's phone by which his key is known."""

    words = forms.CharField(label="来访人手机上的核对码（12 位）", max_length=16)
    seen = forms.BooleanField(label="已核对证件和本人")


FORMS: dict[str, type[Styled]] = {
    "proof": ProofForm,
    "entity": EntityForm,
    "number": NumberForm,
    "guardian": GuardianForm,
    "certificate": CertificateForm,
}


@never_cache
@sensitive_post_parameters("number")
@page(permission="identity.prove")
def counter(request: HttpRequest) -> HttpResponse:
    """Type the visitor's code, then what stands in the document."""
    actor = actor_in(request)
    code = (request.POST.get("code") or request.GET.get("code") or "").strip()
    code = code if code.isascii() and code.isdigit() and len(code) == 8 else ""
    asked = "code" in request.GET or "code" in request.POST
    caller = queries.caller(actor, code) if code else None
    done = request.POST.get("do", "") if request.method == "POST" else ""
    filled = {
        name: form(request.POST if done == name else None, prefix=name)
        for name, form in FORMS.items()
    }
    held = [
        (a.pk, f"{a.principal.name}（{a.get_kind_display()}）")
        for a in (caller.agencies if caller else [])
    ]
    if held:
        filled["end"] = EndForm(
            request.POST if done == "end" else None, prefix="end", agencies=held
        )
    if done in filled and filled[done].is_valid():
        data = filled[done].cleaned_data
        try:
            if done == "proof":
                account = actions.confirm_at_counter(code, **data, by=actor)
                words = f"{account.party.name[0]}** 已通过实人核验"
                if caller is not None and account.pk != caller.visit.account_id:
                    words += "；此人另有账号，已合并，请来访人重新登录"
                messages.success(request, words)
            elif done == "entity":
                agency = actions.bind_representative(code, **data, by=actor)
                messages.success(request, f"已登记为{agency.principal.name}的法定代表人")
            elif done == "guardian":
                ward = actions.bind_guardian(code, **data, by=actor)
                messages.success(request, f"已登记监护关系，至 {ward.until:%Y-%m-%d}")
            elif done == "end":
                actions.end_at_counter(code, **data, by=actor)
                messages.success(request, "代理关系已终止")
            elif done == "certificate":
                made = actions.issue_certificate(code, **data, by=actor)
                messages.success(request, f"数字证书已签发，有效至 {made.until:%Y-%m-%d}")
            else:
                actions.change_number(code, **data, by=actor)
                messages.success(request, "公民身份号码已变更，原号码仍可查到此人")
            return redirect(reverse("identity:counter"))
        except UserError as mistake:
            filled[done].add_error(None, str(mistake))
    context = {
        "code": code,
        "caller": caller,
        "missing": asked and caller is None,
        "forms": filled,
        "today": queries.proved_today(actor),
        "person": rules.PERSON,
    }
    return render(request, "identity/counter.html", context, status=400 if done else 200)
