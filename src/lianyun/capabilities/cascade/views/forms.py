"""Forms: a node's identity, an invitation, an enrolment, and a request to an upper node."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone

from lianyun.capabilities.sharing.api import Request
from lianyun.ui.forms import Styled

from .. import rules

_LONG = {"rows": 3, "maxlength": 1000}
ALGORITHMS = [("ecdsa-p256-sha256", "ECDSA P-256 / SHA-256"), ("sm2-sm3", "SM2 / SM3（国密）")]


class IdentityForm(Styled):
    """Who this node is."""

    code = forms.CharField(
        label="节点代码", max_length=6, help_text="本地区的六位行政区划代码，如 320707"
    )
    name = forms.CharField(label="节点名称", max_length=100, help_text="如 赣榆区")
    level = forms.ChoiceField(label="级别", choices=list(rules.LEVELS.items()))
    address = forms.CharField(
        label="本节点地址",
        max_length=300,
        help_text="其他节点访问本节点的网址，如 https://ly.example.gov.cn",
    )
    algorithm = forms.ChoiceField(
        label="签名算法", choices=ALGORITHMS, required=False, help_text="首次保存时据此生成密钥"
    )


class InviteForm(Styled):
    """A lower node to be enrolled."""

    code = forms.CharField(label="下级节点代码", max_length=6, help_text="六位行政区划代码")
    name = forms.CharField(label="下级节点名称", max_length=100, help_text="如 赣榆区")
    level = forms.ChoiceField(label="级别", choices=list(rules.LEVELS.items()), initial="county")


class JoinForm(Styled):
    """The upper node to enrol with."""

    address = forms.CharField(label="上级节点地址", max_length=300)
    invitation = forms.CharField(
        label="接入码",
        max_length=40,
        help_text="由上级运维人员当面或电话告知，48 小时内有效，只能使用一次",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class ReasonForm(Styled):
    """One text."""

    reason = forms.CharField(label="理由", max_length=300, widget=forms.Textarea(attrs={"rows": 2}))


class LeaseForm(Styled):
    """How long a lower node may go on without us."""

    seconds = forms.IntegerField(
        label="断联后授权最多继续有效（秒）",
        min_value=rules.LEAST_LEASE,
        max_value=rules.MOST_LEASE,
        help_text="下级每分钟续租；链路中断超过此时间，下级自动停止使用本级授权的数据",
    )


class RotateForm(Styled):
    """Which algorithm the next key has."""

    algorithm = forms.ChoiceField(label="新密钥的签名算法", choices=ALGORITHMS)


class DecideForm(Styled):
    """What an officer decides on a conflict."""

    decision = forms.ChoiceField(label="处理方式", widget=forms.RadioSelect)
    note = forms.CharField(label="理由", max_length=300, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, conflict: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["decision"].choices = [  # type: ignore[attr-defined]
            (d, rules.DECISIONS[d]) for d in rules.decisions_for(conflict)
        ]


class UploadForm(Styled):
    """A dataset to be uploaded."""

    resource = forms.ChoiceField(label="数据集")
    link = forms.ChoiceField(label="上级节点")
    auto = forms.BooleanField(label="每次归集完成后自动上传", required=False, initial=True)


class AskForm(Styled):
    """A request to an upper node (art. 20): what sharing asks for, without what goes without saying."""

    basis = forms.CharField(
        label="使用依据",
        max_length=1000,
        widget=forms.Textarea(attrs=_LONG),
        help_text="法律、法规、规章或部门职责的名称和条款",
    )
    scene = forms.CharField(
        label="使用场景",
        max_length=1000,
        widget=forms.Textarea(attrs=_LONG),
        help_text="在哪项业务的哪个环节使用",
    )
    purpose = forms.CharField(label="用途", max_length=200, help_text="一句话，写入授权")
    fields_ = forms.MultipleChoiceField(
        label="数据项", widget=forms.CheckboxSelectMultiple, help_text="只选履行职责必需的数据项"
    )
    plain = forms.MultipleChoiceField(
        label="需要不脱敏（明文）的数据项",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="个人信息默认脱敏；确有必要使用明文的在此勾选并说明理由",
    )
    plain_reason = forms.CharField(label="使用明文的理由", max_length=500, required=False)
    until = forms.DateField(
        label="使用时限",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="到期自动停止，最长 5 年",
    )

    def __init__(self, *args: Any, items: list[dict[str, Any]], **kwargs: Any) -> None:
        kwargs.setdefault("initial", {})
        super().__init__(*args, **kwargs)
        choices = [(str(i["name"]), str(i["title"])) for i in items]
        self.fields["fields_"].choices = choices  # type: ignore[attr-defined]
        self.fields["plain"].choices = choices  # type: ignore[attr-defined]
        if not self.initial.get("until"):
            self.initial["until"] = timezone.localdate() + dt.timedelta(days=365)

    def request(self) -> Request:
        """What was filled in, as sharing knows it; rows always come in bulk (回流)."""
        data = self.cleaned_data
        return Request(
            basis=data["basis"],
            scene=data["scene"],
            purpose=data["purpose"],
            fields=tuple(data["fields_"]),
            until=data["until"],
            plain=tuple(data["plain"] or ()),
            plain_reason=data["plain_reason"] or "",
            method="批量交换",
            calls_per_day=1000,
        )

    def tell(self, problems: dict[str, str]) -> None:
        """Put what the rules found at its field."""
        places = {"fields": "fields_", "scope": None}
        for name, text in problems.items():
            place = places.get(name, name)
            self.add_error(place if place in self.fields else None, text)


def initial_of(request: Request) -> dict[str, Any]:
    """A kept request as a form's initial values."""
    return {
        "basis": request.basis,
        "scene": request.scene,
        "purpose": request.purpose,
        "fields_": list(request.fields),
        "plain": list(request.plain),
        "plain_reason": request.plain_reason,
        "until": request.until,
    }
