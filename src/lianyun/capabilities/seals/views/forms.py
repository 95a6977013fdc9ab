"""Forms: what is filled in to ask for a seal, to use it, to stop it and to check a file."""

from __future__ import annotations

from typing import Any

from django import forms

from lianyun.trust import signatures
from lianyun.ui.forms import Styled

from .. import rules

_LONG = {"rows": 3, "maxlength": 500}


class RequestForm(Styled):
    """Which seal is wanted, what is engraved on it, and why."""

    kind = forms.ChoiceField(label="印章类别", choices=rules.KINDS)
    title = forms.CharField(
        label="印章名称", max_length=60, help_text="如“市市场监督管理局证照专用章”，写入证书"
    )
    name = forms.CharField(
        label="刻字",
        min_length=2,
        max_length=40,
        help_text="单位印章填单位全称，自左而右环行；个人名章填本人姓名",
    )
    below = forms.CharField(
        label="下方文字",
        max_length=12,
        required=False,
        help_text="专用章写明用途，如“证照专用章”；公章和名章留空",
    )
    holder = forms.ChoiceField(
        label="持有人", required=False, help_text="只有个人名章需要填写，且只能由持有人本人使用"
    )
    automatic = forms.MultipleChoiceField(
        label="授权自动用印",
        choices=list(rules.AUTOMATIC.items()),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="勾选的业务由系统自动用印，无须逐次批准；每次用印仍逐份登记",
    )
    reason = forms.CharField(
        label="申请理由和依据", max_length=500, widget=forms.Textarea(attrs=_LONG)
    )

    def __init__(self, *args: Any, people: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["holder"].choices = [("", "不适用"), *people]  # type: ignore[attr-defined]


class _Files(forms.FileField):
    """Several files at once."""

    widget = forms.ClearableFileInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        """Every file, each of them checked."""
        given = data if isinstance(data, list | tuple) else [data]
        return [super(_Files, self).clean(one, initial) for one in given]


class _Several(forms.ClearableFileInput):
    allow_multiple_selected = True


class SignForm(Styled):
    """Which seal on which files, for what, and where on the page."""

    seal = forms.ChoiceField(label="印章")
    documents = _Files(
        label="PDF 文件",
        widget=_Several(attrs={"accept": "application/pdf"}),
        help_text=f"可以一次选择多份（最多 {rules.MOST_FILES} 份），盖好后打包下载",
    )
    purpose = forms.CharField(
        label="用途", max_length=rules.LONGEST_PURPOSE, help_text="写入签名和用印台账"
    )
    page = forms.IntegerField(
        label="盖在第几页", min_value=0, max_value=2000, initial=0, help_text="0 表示最后一页"
    )
    x = forms.FloatField(
        label="距左边（毫米）", min_value=0, max_value=2000, initial=150, help_text="章的中心"
    )
    y = forms.FloatField(
        label="距下边（毫米）", min_value=0, max_value=2000, initial=60, help_text="章的中心"
    )

    def __init__(self, *args: Any, seals: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seal"].choices = seals  # type: ignore[attr-defined]


class StopForm(Styled):
    """Why a seal ends."""

    why = forms.ChoiceField(label="停用原因", choices=list(rules.STOPS.items()))
    reason = forms.CharField(label="情况说明", max_length=400, widget=forms.Textarea(attrs=_LONG))


class ReasonForm(Styled):
    """What happened."""

    reason = forms.CharField(label="情况说明", max_length=400, widget=forms.Textarea(attrs=_LONG))


class RenewForm(Styled):
    """With which algorithm a seal signs from now on."""

    algorithm = forms.ChoiceField(label="签名算法", choices=list(signatures.TITLES.items()))


class CheckForm(Styled):
    """A file to be checked."""

    file = forms.FileField(
        label="PDF 文件",
        widget=forms.ClearableFileInput(attrs={"accept": "application/pdf"}),
        help_text="文件只用于本次检验，不会保存；不超过 20 MB",
    )


class ChainForm(Styled):
    """The certificates that the city's root gave."""

    chain = forms.CharField(
        label="证书链（PEM）",
        max_length=60000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="第一张是本机构证书，最后一张是根证书",
    )
