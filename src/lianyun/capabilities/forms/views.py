"""Views: one part a page, the check page, the files; everything works without a script."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, signed_in

from . import actions, adapters, queries, rules

PARKED = "forms.parked"
"""Session key: what somebody sent after the session had ended, sealed, until the next login."""
_PARKED_CHARACTERS = 60_000
_INK_CHARACTERS = 400_000
View = Callable[..., HttpResponseBase]


def _parking(view: View) -> View:
    """What is posted after the session has ended waits, sealed, in the visitor's new session.

    Whoever then signs in and may fill the draft in finds it in the part as typed and not yet saved.
    """

    @wraps(view)
    def call(request: ActorRequest, code: str, part: str) -> HttpResponseBase:
        if request.method == "POST" and not request.actor.known:
            told = {k: request.POST.getlist(k) for k in request.POST if k[:6] not in ("csrfmi",)}
            text = json.dumps({"code": code, "part": part, "posted": told})
            if len(text) <= _PARKED_CHARACTERS:
                request.session[PARKED] = adapters.seal(text)
            here = reverse("forms:part", args=[code, part])
            return HttpResponseRedirect(f"{reverse('identity:login')}?next={quote(here)}")
        return view(request, code, part)

    return call


def _unpark(request: ActorRequest, found: Any, part: str) -> bool:
    """Put what was parked for this part into the draft; True if there was something."""
    kept = request.session.pop(PARKED, None)
    if not kept:
        return False
    told = json.loads(adapters.unseal(kept))
    if told["code"] != found.code or told["part"] != part:
        return False
    version = queries.opened(found).content.parts.get(part, 0)
    actions.keep_typed(found, part, told["posted"], version, by=request.actor)
    return True


def _part_url(code: str, part: str, to: str = "", *, stay: bool = False) -> str:
    """A part's address; `to` comes back to the check page, `stay` is the same page drawn anew."""
    told = {k: v for k, v in (("to", to), ("stay", "1" if stay else "")) if v in ("check", "1")}
    return reverse("forms:part", args=[code, part]) + (f"?{urlencode(told)}" if told else "")


@signed_in
@never_cache
def begin(request: ActorRequest, code: str) -> HttpResponse:
    """To the first part in which something is missing, else to the check page."""
    found = queries.draft(request.actor, code)
    if found.closed_at is not None:
        return redirect("forms:check", code)
    name = queries.first(queries.opened(found))
    return redirect(_part_url(code, name)) if name else redirect("forms:check", code)


@_parking
@signed_in
@never_cache
def part(request: ActorRequest, code: str, part: str) -> HttpResponse:
    """One part: shown, saved, with rows and files added and taken away."""
    found = queries.draft(request.actor, code)
    if found.closed_at is not None:
        messages.info(request, "这份申请表已经提交，不能再修改")
        return redirect("forms:check", code)
    if request.method == "POST":
        return _post(request, found, part)
    if _unpark(request, found, part):
        found = queries.draft(request.actor, code)
        messages.warning(request, "登录曾经过期，您刚才填写的内容已经找回，请核对后保存")
    return _show(request, queries.opened(found), part)


def _show(
    request: ActorRequest,
    seen: queries.Opened,
    part: str,
    errors: dict[str, str] | None = None,
    **more: Any,
) -> HttpResponse:
    told = {
        "page": queries.page(seen, part, errors=errors),
        "draft": seen.draft,
        "to": "check" if "check" in (request.GET.get("to"), request.POST.get("to")) else "",
        "kept_until": queries.kept_until(seen.draft),
        "found_again": request.method == "GET" and "stay" not in request.GET,
        **more,
    }
    return render(request, "forms/part.html", told)


def _post(request: ActorRequest, found: Any, part: str) -> HttpResponse:
    do, _, what = request.POST.get("do", "next").partition(":")
    posted = {name: request.POST.getlist(name) for name in request.POST}
    to = request.POST.get("to", "")
    number = request.POST.get("version", "")
    version = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else -1
    by = request.actor
    if do == "discard":
        actions.discard_typed(found, part, by=by)
        return redirect(_part_url(found.code, part, to))
    wrong = _keep_files(request, found, part, posted)
    if do in ("next", "later") and not wrong:
        return _save(request, found, part, posted, version, leave=do == "later", to=to)
    if do == "detach":
        actions.drop_attachment(found, what, by=by)
    try:
        seen = actions.keep_typed(
            found, part, posted, version,
            add=do == "add", drop=what if do == "drop" else "", by=by,
        )  # fmt: skip
    except UserError as refused:
        wrong[part] = str(refused)
        seen = actions.keep_typed(found, part, posted, version, by=by)
    if do == "keep":
        return HttpResponse(status=204)
    if wrong or request.htmx:
        new = len(rules.rows_posted(seen.form.part(part), seen.content.typed.get(part, {})))
        return _show(request, seen, part, wrong, new_row=new if do == "add" else 0)
    return redirect(_part_url(found.code, part, to, stay=True))


def _save(
    request: ActorRequest,
    found: Any,
    part: str,
    posted: dict[str, list[str]],
    version: int,
    *,
    leave: bool,
    to: str,
) -> HttpResponse:
    saved = actions.save_part(found, part, posted, version, by=request.actor)
    assert saved.opened is not None
    if leave:
        if saved.good:
            messages.success(request, "已保存，可以随时回来继续填写")
        else:
            messages.success(request, "填写的内容已保存，回来后请按提示改正")
        return redirect(found.back_to)
    if not saved.good:
        return _show(request, saved.opened, part, saved.errors, stale=saved.stale)
    following = queries.after(saved.opened, part)
    if to == "check" or not following:
        return redirect("forms:check", found.code)
    return redirect(_part_url(found.code, following))


def _keep_files(
    request: ActorRequest, found: Any, part_id: str, posted: dict[str, list[str]]
) -> dict[str, str]:
    """Keep the files and drawn signatures that came with a part; what is wrong by input's name."""
    wrong: dict[str, str] = {}
    try:
        part = queries.form_of(found).part(part_id)
    except KeyError:
        return wrong
    for asked in part.fields:
        if asked.kind not in ("file", "signature"):
            continue
        places = [(rules.input_name(part, asked), rules.slot_of(part, asked))]
        if part.repeat is not None:
            places = []
            for number in rules.rows_posted(part, posted):
                row = posted[f"{part.id}-{number}-{rules.ROW_ID}"][0]
                if len(row) == 6 and row.isalnum() and row.isascii():
                    places.append(
                        (rules.input_name(part, asked, number), rules.slot_of(part, asked, row))
                    )
        for name, slot in places:
            try:
                if asked.kind == "signature":
                    _keep_ink(request, found, slot, request.POST.get(f"{name}-ink", ""))
                for uploaded in request.FILES.getlist(name):
                    actions.keep_attachment(
                        found, slot, uploaded,
                        accept=asked.accept, most=asked.files, by=request.actor,
                    )  # fmt: skip
            except UserError as refused:
                wrong[name] = str(refused)
    return wrong


def _keep_ink(request: ActorRequest, found: Any, slot: str, ink: str) -> None:
    head = "data:image/png;base64,"
    if not ink:
        return
    if not ink.startswith(head) or len(ink) > _INK_CHARACTERS:
        raise UserError("签名没有收到，请重写，或填写姓名代替")
    try:
        data = base64.b64decode(ink[len(head) :], validate=True)
    except (binascii.Error, ValueError):
        raise UserError("签名没有收到，请重写，或填写姓名代替") from None
    actions.keep_attachment(
        found, slot, ("签名.png", data), accept=("image",), alone=True, by=request.actor
    )


@signed_in
@never_cache
def check(request: ActorRequest, code: str) -> HttpResponse:
    """All answers, each with a way to change it; its button leads to where the matter goes on."""
    found = queries.draft(request.actor, code)
    if request.method == "POST" and found.closed_at is None:
        try:
            actions.confirm(found, by=request.actor)
        except UserError as refused:
            messages.error(request, str(refused))
            return redirect("forms:check", code)
        return redirect(found.next_to)
    if request.method == "POST":
        # Sent before, and closed since: the same way on, nothing done twice.
        return redirect(found.next_to)
    seen = queries.opened(found)
    sections = queries.check_page(seen)
    told = {
        "draft": found,
        "form": seen.form,
        "sections": sections,
        "missing": [s for s in sections if s.problem],
        "kept_until": queries.kept_until(found),
        "last": seen.parts[-1].id if seen.parts else "",
    }
    return render(request, "forms/check.html", told)


@signed_in
@never_cache
def file(request: ActorRequest, code: str, file: str) -> HttpResponse:
    """One attached file: pictures in the page, everything else as a download."""
    found = queries.draft(request.actor, code)
    one, data = queries.attachment(request.actor, found, file)
    answer = HttpResponse(data, content_type=one.media)
    way = "inline" if one.picture else "attachment"
    answer["Content-Disposition"] = f"{way}; filename*=UTF-8''{quote(one.name)}"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer
