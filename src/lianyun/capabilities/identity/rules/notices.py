"""Notice: what a person is told about the account, by which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXTS: dict[str, str] = {
    "device.met": "您的账号在新设备（{device}）登录。如非本人，请到“我的账号”结束登录并修改密码。",
    "identity.proved": "您的实名等级已变为“{level_title}”。如非本人办理，请到政务服务窗口处理。",
    "identity.displaced": "您自行申报的公民身份号码未能核验为本人，实名等级恢复为“自行申报”。",
    "identity.phone_changed": "您的账号已更换手机号码。如非本人办理，请立即到政务服务窗口处理。",
    "identity.mail_changed": "您的账号已更换通知邮箱。如非本人办理，请登录后更改。",
    "identity.number_changed": "您的公民身份号码已在窗口变更，原号码仍能查到您。",
    "agency.offered": "{principal}委托您为经办人，请到“我的代办”接受或拒绝。",
    "agency.accepted": "{principal}的代理关系（{kind_title}）已生效。",
    "agency.ended": "{principal}的代理关系（{kind_title}）已终止。",
    "certificate.issued": "您的数字证书已在窗口签发。如非本人办理，请到“我的身份”停用。",
    "certificate.ended": "您的数字证书已停用。",
    "erasure.asked": "您已申请注销账号，到期前登录可以撤回。",
    "password.recovered": "您的登录密码已用短信验证码重新设置，其他登录已结束。如非本人办理，请立即到政务服务窗口处理。",
    "platform.linked": "您的账号已与国家政务服务平台账号关联。",
}
"""Event kind → the words; whatever stands in braces comes from the event and its subject."""


def notice_text(kind: str, facts: Mapping[str, Any]) -> str:
    """The words for an event; a fact that is missing is passed over. KeyError for another kind."""

    class Known(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            return ""

    return TEXTS[kind].format_map(Known(facts))


def mask_mail(address: str) -> str:
    """An e-mail address as pages show it: first letter and domain."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***{at}{domain}" if at else ""


__all__ = ["TEXTS", "mask_mail", "notice_text"]
