"""Verify: for everybody, by QR code, file, credential or interface; and what offline checking needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from lianyun.kernel.access import UserError
from lianyun.trust import check_licence
from lianyun.ui.context import address_of as address_named
from lianyun.ui.pages import ActorRequest, public
from lianyun.ui.visitor import address_of

from .. import actions
from ..adapters import seal, shelf
from ..queries import kinds, licences, status, verdicts
from ..rules import credential, types

LARGEST = 5 * 1024 * 1024


def _quiet(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    # Not "no-referrer": the browser would then post these forms with the origin "null", and be refused.
    response["Referrer-Policy"] = "same-origin"
    return response


@public
def home(request: ActorRequest) -> HttpResponse:
    """The page on which anybody verifies: a code, a file, a credential."""
    context: dict[str, Any] = {"roots": _roots()}
    if request.method == "POST":
        try:
            context["verdict"] = _judged(request)
        except UserError as error:
            context["problem"] = str(error)
    return _quiet(render(request, "licences/verify.html", context))


def _roots() -> list[tuple[str, str]]:
    return [(name, address_named("seals:certificate", thumb)) for name, thumb in seal.roots()]


def _judged(request: ActorRequest) -> verdicts.Verdict:
    viewer, who = request.actor, address_of(request)
    file = request.FILES.get("file")
    text = request.POST.get("text", "").strip()
    if file is not None:
        actions.spend("file", who)
        if (file.size or 0) > LARGEST:
            raise UserError("文件不能超过 5 MB")
        data = file.read()
        if b"~" in data[:60_000] and not data.startswith((b"%PDF", b"PK")):
            return verdicts.by_credential(viewer, data.decode("utf-8", "replace"))
        return verdicts.by_file(viewer, data)
    actions.spend("verify", who)
    if "~" in text:
        return verdicts.by_credential(viewer, text)
    found = verdicts.CODE.search(text.lower())
    if not text:
        raise UserError("请选择文件，或者填写核验码、凭证")
    return verdicts.by_code(viewer, found[0] if found else text[:40])


@public
def by_code(request: ActorRequest, code: str) -> HttpResponse:
    """What the QR of a file leads to."""
    actions.spend("verify", address_of(request))
    verdict = verdicts.by_code(request.actor, code)
    return _quiet(
        render(
            request,
            "licences/verify.html",
            {"verdict": verdict, "scanned": True, "roots": _roots()},
        )
    )


@public
def given(request: ActorRequest, code: str) -> HttpResponse:
    """A licence given once: told what it is, then by a press shown and used up."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        try:
            licence, pairs, showing = actions.take(
                code, address=address_of(request), by=request.actor
            )
            context = {"licence": licence, "pairs": pairs, "showing": showing}
            context["kind"] = kinds.kind(licence.kind)
        except UserError as error:
            context["problem"] = str(error)
    else:
        actions.spend("verify", address_of(request))
        context["waiting"] = licences.given(request.actor, code)
        if context["waiting"] is None:
            context["problem"] = "链接无效、已被查看过或已过期，请持证人重新提供"
    return _quiet(render(request, "licences/given.html", context))


def _answer(data: Any, code: int = 200) -> HttpResponse:
    response = JsonResponse(data, status=code, json_dumps_params={"ensure_ascii": False})
    response["Access-Control-Allow-Origin"] = "*"
    return _quiet(response)


@csrf_exempt
@public
def interface(request: ActorRequest) -> HttpResponse:
    """POST {"code"} or {"credential"} as JSON, or a PDF or OFD as the body: the verdict as JSON."""
    if request.method != "POST":
        return _answer({"error": "请用 POST 提交 code、credential 或 PDF、OFD 文件"}, 405)
    try:
        kind = request.content_type
        if kind in ("application/pdf", "application/ofd"):
            actions.spend("file", address_of(request))
            if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
                return _answer({"error": "文件不能超过 5 MB"}, 413)
            return _answer(verdicts.by_file(request.actor, request.body).as_dict())
        actions.spend("api", address_of(request))
        told = json.loads(request.body[:200_000] or b"{}")
        if not isinstance(told, dict):
            raise UserError("请求应为 JSON 对象")
        if isinstance(told.get("credential"), str):
            verdict = verdicts.by_credential(request.actor, told["credential"])
        elif isinstance(told.get("code"), str):
            verdict = verdicts.by_code(request.actor, told["code"])
        else:
            raise UserError("请提供 code 或 credential")
        return _answer(verdict.as_dict())
    except actions.TooMany as error:
        return _answer({"error": str(error)}, 429)
    except (ValueError, RecursionError):
        return _answer({"error": "请求不是 JSON"}, 400)
    except UserError as error:
        return _answer({"error": str(error)}, 400)


@public
def status_list(request: ActorRequest, number: int) -> HttpResponse:
    """The signed list that credentials point to (Token Status List)."""
    if not 0 <= number < max(status.lists(request.actor), 1):
        raise Http404
    now = int(timezone.now().timestamp())
    token = credential.status_token(
        uri=f"{shelf.site()}/licences/status/{number}",
        statuses=status.statuses(request.actor, number),
        size=status.SIZE,
        issued=now,
        seconds=status.SECONDS,
        key=actions.signing_key(),
    )
    response = HttpResponse(token, content_type=f"application/{credential.STATUS_TYPE}")
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = f"max-age={status.SECONDS}"
    return response


def _keys(request: ActorRequest) -> dict[str, Any]:
    actions.signing_key()
    keys = status.public_keys(request.actor).values()
    return {"keys": [key.as_dict(private=False) for key in keys]}


@public
def issuer(request: ActorRequest) -> HttpResponse:
    """Who signs credentials and with which keys (SD-JWT VC, JWT VC issuer metadata)."""
    return _answer({"issuer": shelf.site(), "jwks": _keys(request)})


@public
def kind(request: ActorRequest, name: str) -> HttpResponse:
    """What a type of credential is (its `vct`)."""
    one = kinds.kinds().get(name)
    if one is None:
        raise Http404
    return _answer(
        {
            "vct": f"{shelf.site()}/licences/types/{name}",
            "name": one.title,
            "description": one.basis,
            "claims": [
                {"path": [i.name], "display": [{"lang": "zh-CN", "label": i.title}], "sd": "always"}
                for i in one.items
            ],
        }
    )


@public
def script(request: ActorRequest) -> HttpResponse:
    """The programme that checks a credential without this site: one file."""
    text = Path(check_licence.__file__).read_text("utf-8")
    return HttpResponse(text, content_type="text/x-python; charset=utf-8")


def _trust(request: ActorRequest) -> dict[str, Any]:
    """What the offline page needs: public keys, and how claims are called."""
    titles = {n: {i.name: i.title for i in k.items} for n, k in kinds.kinds().items()}
    return {**_keys(request), "proofs": types.PROOFS, "titles": titles}


@public
def offline(request: ActorRequest) -> HttpResponse:
    """The page that checks a credential in the browser, with the public keys alone."""
    numbers = range(max(status.lists(request.actor), 1))
    context = {"trust": _trust(request), "lists": numbers}
    return _quiet(render(request, "licences/offline.html", context))


@public
def offline_file(request: ActorRequest) -> HttpResponse:
    """The same as one file that is saved and opened without a network: nothing in it leads out."""
    context = {
        "trust": _trust(request),
        "programme": Path(str(finders.find("licences/offline.js"))).read_text("utf-8"),
        "saved": timezone.localtime().strftime("%Y-%m-%d %H:%M"),
    }
    response = _quiet(render(request, "licences/offline_file.html", context))
    response["Content-Disposition"] = 'attachment; filename="lianyun-offline-check.html"'
    return response


@public
def scan(request: ActorRequest) -> HttpResponse:
    """Where a show code leads: a clerk to the counter's page, anybody else to an explanation."""
    code = request.GET.get("code", "")[:40]
    if request.actor.may("licences.verify"):
        return redirect(f"/workbench/licences/counter/?code={code}")
    return _quiet(render(request, "licences/shown.html", {}))
