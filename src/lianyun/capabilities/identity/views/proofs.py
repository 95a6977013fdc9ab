"""Proofs: document and face, one's own certificate, the address for notices."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from lianyun.kernel.access import UserError
from lianyun.ui.forms import Styled
from lianyun.ui.pages import safe_next, signed_in
from lianyun.ui.visitor import address_of

from .. import actions, queries, rules
from .entry import actor_in
from .persons import SIMULATED_MAIL, steady

CHALLENGE = "certificate_challenge"
NEW_MAIL = "new_mail"
MAIL_USE = "mail"


class FaceForm(Styled):
    """Two photographs: the document and the face."""

    document = forms.FileField(
        label="身份证人像面照片",
        widget=forms.FileInput(attrs={"accept": "image/*", "capture": "environment"}),
    )
    face = forms.FileField(
        label="本人正面照片",
        help_text="在光线充足处拍摄，露出整张脸；照片只用于这次比对，本平台不保存",
        widget=forms.FileInput(attrs={"accept": "image/*", "capture": "user"}),
    )
    agreed = forms.BooleanField(label="我同意将以上照片用于本次核验")


@never_cache
@sensitive_post_parameters()
@signed_in
def face(request: HttpRequest) -> HttpResponse:
    """Be proven by document and face (level 3)."""
    actor = actor_in(request)
    form = FaceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        began, data = time.monotonic(), form.cleaned_data
        try:
            actions.try_proof(address=address_of(request), by=actor)
            limit = rules.PICTURE_MOST + 1
            proven = actions.prove_face(
                data["document"].read(limit), data["face"].read(limit), by=actor
            )
        except UserError as mistake:
            form.add_error(None, str(mistake))
        else:
            steady(began)
            if proven is None:
                form.add_error(None, actions.NOT_PROVEN)
            elif actor.party is not None and proven.party_id != actor.party.pk:
                # Another account of the same person was merged: its sessions ended.
                logout(request)
                messages.success(request, "实人核验通过，您的两个账号已合并，请重新登录")
                return redirect("identity:login")
            else:
                messages.success(request, "实人核验通过")
                return redirect(safe_next(request, reverse("identity:mine")))
        steady(began)
    context = {
        "form": form,
        "stands_in": queries.face_stands_in(),
        "back": safe_next(request, ""),
    }
    return render(request, "identity/face.html", context, status=400 if form.errors else 200)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text[:2000], validate=True)
    except (ValueError, binascii.Error):
        return b""


@never_cache
@signed_in
def certificate(request: HttpRequest) -> HttpResponse:
    """My certificates: ask with a key of this browser, prove myself by it (level 4), stop one."""
    actor = actor_in(request)
    if request.method == "POST":
        # A challenge is good once, whatever comes of it.
        challenge = str(request.session.pop(CHALLENGE, ""))
        done, answer = request.POST.get("do", ""), _bytes(request.POST.get("signature", ""))
        if done == "ask":
            agent = request.headers.get("User-Agent", "")
            spki = _bytes(request.POST.get("spki", ""))
            actions.ask_certificate(spki, challenge, answer, rules.device_name(agent), by=actor)
            messages.success(request, "已申请：请到任一窗口，出示证件、到窗码和核对码")
        elif done == "prove":
            kid = request.POST.get("kid", "")[:64]
            if actions.prove_certificate(kid, challenge, answer, by=actor):
                messages.success(request, "已用数字证书证明是您本人")
                return redirect(safe_next(request, reverse("identity:certificate")))
            messages.error(request, "没有通过：证书已停用、已到期，或不在这个浏览器里")
        elif done == "end":
            number = request.POST.get("certificate", "")
            actions.end_certificate(
                int(number) if number.isdecimal() and len(number) < 19 else 0, by=actor
            )
            messages.success(request, "证书已停用")
        else:
            raise UserError("没有这项操作")
        return redirect("identity:certificate")
    challenge = request.session[CHALLENGE] = secrets.token_urlsafe(24)
    found = queries.own_certificates(actor)
    good = [c for c in found if c.badge[0] == "有效"]
    context = {
        "me": queries.own_identity(actor),
        "certificates": found,
        "options": {"challenge": challenge, "kids": [c.kid for c in good]},
        "good": good,
        "waiting": next((c for c in found if c.badge[0] == "待窗口签发"), None),
        "person": rules.PERSON,
        "back": safe_next(request, ""),
        "minutes": rules.VISIT_MINUTES,
    }
    return render(request, "identity/certificate.html", context)


class MailForm(Styled):
    """An e-mail address."""

    mail = forms.EmailField(
        label="电子邮箱",
        max_length=120,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


class MailCodeForm(Styled):
    """The code from the new address."""

    code = forms.CharField(
        label="邮件中的验证码",
        max_length=6,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )


@never_cache
@sensitive_post_parameters("code")
@signed_in
def mail(request: HttpRequest) -> HttpResponse:
    """The address for notices: a code goes to it before it is kept; or take it off."""
    actor = actor_in(request)
    kept: dict[str, Any] = request.session.get(NEW_MAIL) or {}
    if request.POST.get("do") == "remove":
        actions.change_mail("", by=actor)
        messages.success(request, "已移除通知邮箱")
        return redirect("identity:mine")
    form: Styled = MailForm(request.POST or None)
    if request.method == "POST" and request.POST.get("step") == "mail":
        if form.is_valid():
            to = form.cleaned_data["mail"]
            try:
                shown = actions.send_code(to, MAIL_USE, address=address_of(request), by=actor)
            except UserError as mistake:
                form.add_error("mail", str(mistake))
            else:
                request.session[NEW_MAIL] = {"mail": to, "shown": shown}
                return redirect("identity:mail")
        step = 0
    elif kept and "again" not in request.GET:
        form, step = MailCodeForm(request.POST or None), 1
        if request.method == "POST" and form.is_valid():
            if actions.check_code(kept["mail"], MAIL_USE, form.cleaned_data["code"], by=actor):
                actions.change_mail(kept["mail"], by=actor)
                request.session.pop(NEW_MAIL, None)
                messages.success(request, "通知邮箱已更换")
                return redirect("identity:mine")
            form.add_error("code", "验证码不正确或已过期，可以重新获取")
    else:
        request.session.pop(NEW_MAIL, None)
        form, step = MailForm(), 0
    context = {
        "form": form,
        "step": step,
        "to": rules.mask_mail(kept.get("mail", "")),
        "me": queries.own_identity(actor),
        "shown": kept.get("shown", "") if step else "",
        "simulated": SIMULATED_MAIL,
    }
    return render(request, "identity/mail.html", context, status=400 if form.errors else 200)
