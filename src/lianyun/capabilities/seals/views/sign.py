"""Sign: an officer sets a seal on his files; what comes back is the sealed file, or a parcel of them."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import PurePath

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header

from lianyun.kernel.access import UserError
from lianyun.ui.pages import ActorRequest, signed_in

from .. import actions, queries, rules
from . import forms


def _name(given: str, taken: set[str]) -> str:
    """A file name of its own in a parcel: without folders, never twice."""
    stem = PurePath(given.replace("\\", "/")).stem[:80] or "文件"
    name, number = f"{stem}-已盖章.pdf", 2
    while name in taken:
        name, number = f"{stem}-已盖章-{number}.pdf", number + 1
    taken.add(name)
    return name


def _sent(files: list[actions.File]) -> HttpResponse:
    taken: set[str] = set()
    if len(files) == 1:
        answer = HttpResponse(files[0].content, content_type="application/pdf")
        name = _name(files[0].name, taken)
    else:
        parcel = BytesIO()
        with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as box:
            for file in files:
                box.writestr(_name(file.name, taken), file.content)
        answer = HttpResponse(parcel.getvalue(), content_type="application/zip")
        name = f"已盖章-{len(files)}份.zip"
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["Cache-Control"] = "no-store"
    return answer


@signed_in
def sign(request: ActorRequest) -> HttpResponse:
    """The form, and the sealed files as the answer."""
    viewer = request.actor
    seals = list(queries.usable(viewer))
    choices = [(s.code, f"{s.title}（{s.department}）") for s in seals]
    form = forms.SignForm(
        request.POST or None,
        request.FILES or None,
        seals=choices,
        initial={"seal": request.GET.get("seal", "")},
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            if sum(f.size for f in given["documents"]) > rules.MOST_BYTES:
                raise UserError("一次上传的文件合计不超过 20 MB")
            made = actions.seal_files(
                seal=next(s for s in seals if s.code == given["seal"]),
                files=[actions.File(f.name, f.read()) for f in given["documents"]],
                purpose=given["purpose"],
                page=given["page"],
                x=given["x"],
                y=given["y"],
                by=viewer,
            )
        except UserError as wrong:
            form.add_error(None, str(wrong))
        else:
            return _sent(made)
    return render(request, "seals/sign.html", {"form": form, "seals": seals})
