"""Forms: what a department says of a receiver, why it does what it does."""

from __future__ import annotations

from typing import Any

from django import forms

from lianyun.ui.forms import Styled

from .. import rules

_PASSWORD = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
EXAMPLES = {
    rules.POSTGRESQL: "postgresql://主机:5432/数据库",
    rules.MYSQL: "mysql://主机:3306/数据库",
    rules.FOLDER: "gjj/residents",
    rules.SFTP: "sftp://主机:22/收件目录",
    rules.WEBHOOK: "https://主机/接收地址",
}


class ReceiverForm(Styled):
    """One receiver; only the fields of its kind are asked for."""

    location = forms.CharField(label="接收地址", max_length=500)
    table = forms.CharField(
        label="表名（文件名）",
        max_length=60,
        required=False,
        help_text="不填则用数据集的英文名；表由平台建立，列为授权的数据项",
    )
    schema = forms.CharField(label="模式（schema）", max_length=60, required=False)
    format = forms.ChoiceField(label="文件格式", choices=list(rules.FORMATS.items()))
    user = forms.CharField(label="用户名", max_length=100, required=False)
    password = forms.CharField(label="密码", max_length=200, required=False, widget=_PASSWORD)
    private_key = forms.CharField(
        label="SSH 私钥（不用密码登录时填）",
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono"}),
    )
    fingerprint = forms.CharField(
        label="服务器密钥指纹",
        max_length=80,
        required=False,
        help_text="先保存并测试连接，与对方核对显示的指纹后填在这里（SHA256:…）",
    )
    key = forms.CharField(
        label="签名密钥",
        max_length=200,
        required=False,
        widget=_PASSWORD,
        help_text="双方约定，不少于 16 位；平台用它对每条消息签名（HMAC-SHA-256）",
    )

    _FIELDS = {
        rules.PULL: (),
        rules.POSTGRESQL: ("location", "user", "password", "schema", "table"),
        rules.MYSQL: ("location", "user", "password", "table"),
        rules.FOLDER: ("location", "format", "table"),
        rules.SFTP: (
            "location",
            "user",
            "password",
            "private_key",
            "fingerprint",
            "format",
            "table",
        ),
        rules.WEBHOOK: ("location", "key"),
    }

    def __init__(self, kind: str, *args: Any, kept: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        for name in list(self.fields):
            if name not in self._FIELDS[kind]:
                del self.fields[name]
        if "location" in self.fields:
            self.fields["location"].help_text = f"如 {EXAMPLES[kind]}"
        if kept:
            for name in ("password", "private_key", "key"):
                if name in self.fields:
                    self.fields[name].help_text = "已加密保存；不改请留空"
        self.kept = kept

    def clean(self) -> dict[str, Any]:
        """A webhook's key is long enough to be worth signing with."""
        told = super().clean() or {}
        given = str(told.get("key") or "")
        if self.kind == rules.WEBHOOK and (given or not self.kept) and len(given) < 16:
            self.add_error("key", "签名密钥不少于 16 位")
        return told

    def arguments(self) -> dict[str, Any]:
        """As the actions take them."""
        told = self.cleaned_data
        return {
            "kind": self.kind,
            "location": told.get("location", ""),
            "options": {
                k: told[k] for k in ("table", "schema", "format", "fingerprint") if told.get(k)
            },
            "credentials": {
                k: told[k] for k in ("user", "password", "private_key", "key") if told.get(k)
            },
        }


class ReasonForm(Styled):
    """Why a dead letter is left out."""

    reason = forms.CharField(
        label="跳过的理由",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="跳过后这些变更不会再送达，理由和处理人将记入台账",
    )
