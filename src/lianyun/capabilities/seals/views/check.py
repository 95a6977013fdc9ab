"""Check: anybody's question about a sealed file, answered in plain words."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from lianyun.kernel.access import ANONYMOUS
from lianyun.trust.sealing import NotPdf
from lianyun.ui.pages import public

from .. import api, queries, rules
from . import forms


@public
@never_cache
def check(request: HttpRequest) -> HttpResponse:
    """The form and the verdict; the file is not kept."""
    form = forms.CheckForm(request.POST or None, request.FILES or None)
    context: dict[str, object] = {"form": form}
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        if file.size > rules.MOST_BYTES:
            form.add_error("file", "文件超过 20 MB，无法在线检验")
        else:
            try:
                verdict = api.check(file.read())
            except NotPdf as wrong:
                form.add_error("file", str(wrong))
            else:
                context |= {
                    "verdict": verdict,
                    "name": file.name,
                    "marks": [
                        (m, queries.picture_of(ANONYMOUS, m.serial) if m.good else "")
                        for m in verdict.marks
                    ],
                }
    return render(request, "seals/check.html", context)
