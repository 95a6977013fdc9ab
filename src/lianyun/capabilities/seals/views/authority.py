"""Authority: certificates, lists and answers for everybody, and the tie to the city's root."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from lianyun.kernel.access import ANONYMOUS, UserError
from lianyun.trust.issuing import CRL_TYPE, OCSP_TYPE
from lianyun.ui.pages import ActorRequest, page, public

from .. import actions, queries, rules
from . import forms

_MOST_ASKED = 20 * 1024
STAMP_TYPE = "application/timestamp-reply"


@public
def certificate(request: HttpRequest, thumb: str) -> HttpResponse:
    """An issuer's or root's certificate, DER."""
    row = queries.certificate_of(ANONYMOUS, thumb)
    if row is None:
        raise Http404
    answer = HttpResponse(queries.der_of(row), content_type="application/pkix-cert")
    answer["Content-Disposition"] = f'attachment; filename="{thumb}.cer"'
    return answer


@public
@never_cache
def revoked(request: HttpRequest, thumb: str) -> HttpResponse:
    """The issuer's list of certificates taken back, made now (RFC 5280)."""
    row = queries.certificate_of(ANONYMOUS, thumb)
    if row is None or not row.label:
        raise Http404
    gone = queries.withdrawn(ANONYMOUS, row)
    return HttpResponse(actions.list_of(row, gone), content_type=CRL_TYPE)


@public
@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST"])
def ocsp(request: HttpRequest, asked: str = "") -> HttpResponse:
    """The status of certificates now (RFC 6960): POST the request, or GET it in base64."""
    try:
        body = base64.b64decode(unquote(asked), validate=True) if asked else request.body
    except (binascii.Error, ValueError):
        body = b""
    if len(body) > _MOST_ASKED:
        body = b""
    made = actions.answered(
        body, lambda issuer, serial: queries.standing(ANONYMOUS, issuer, serial)
    )
    return HttpResponse(made, content_type=OCSP_TYPE)


@public
@csrf_exempt
@never_cache
@require_POST
def time_stamp(request: HttpRequest) -> HttpResponse:
    """A time stamp for a SHA-256 digest (RFC 3161, 3.4), by this installation's clock."""
    body = request.body
    made = actions.office().stamper.answer(body if len(body) <= _MOST_ASKED else b"")
    return HttpResponse(made, content_type=STAMP_TYPE)


@page(permission="seals.authority")
def authority(request: ActorRequest) -> HttpResponse:
    """The issuing authority: its certificates, and how the city's root takes its place."""
    viewer = request.actor
    actions.office()
    pending = queries.pending_issuer(viewer)
    form = forms.ChainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            if pending is None:
                raise UserError("请先生成证书请求，交上级机构签发")
            actions.adopt_issuer(
                chain=form.cleaned_data["chain"], label=pending[0], where=pending[1], by=viewer
            )
        except UserError as wrong:
            form.add_error("chain", str(wrong))
        else:
            messages.success(request, "已启用新的签发机构；以前签发的证书继续有效并可查询状态")
            return redirect("seals:authority")
    return render(
        request,
        "seals/authority.html",
        {
            "rows": queries.described(viewer),
            "stores": rules.STORES,
            "pending": pending,
            "form": form,
        },
    )


@page(permission="seals.authority")
@require_POST
def ask(request: ActorRequest) -> HttpResponse:
    """A certificate request (PKCS#10) for the city's root, as a file."""
    answer = HttpResponse(actions.ask_higher(by=request.actor), content_type="application/pkcs10")
    answer["Content-Disposition"] = 'attachment; filename="lianyun-seals.csr"'
    return answer
