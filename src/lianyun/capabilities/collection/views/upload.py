"""Upload views: a file arrives, is looked at, and goes into a dataset that is or becomes known."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpResponse
from django.shortcuts import redirect, render

from lianyun.kernel.access import UserError
from lianyun.ui.forms import once
from lianyun.ui.pages import ActorRequest, page

from .. import actions, adapters, queries, rules
from .forms import TYPE_CHOICES, NewDataset, TargetForm, UploadFile, proposed_items

STEPS = ["选择文件", "核对内容", "归集"]


@page(permission="collection.run")
def upload(request: ActorRequest) -> HttpResponse:
    """Take a file and show what is in it."""
    form = UploadFile(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        token = adapters.keep_upload(form.cleaned_data["file"], request.actor.ref)
        wanted = request.GET.get("dataset", "")
        answer = redirect("collection:proposal", token=token)
        if wanted:
            answer["Location"] += f"?dataset={wanted}"
        return answer
    return render(request, "collection/upload.html", {"form": form, "steps": STEPS})


@page(permission="collection.run")
def proposal(request: ActorRequest, token: str) -> HttpResponse:
    """Show an uploaded file's items; load it into a dataset, or register a new one from it."""
    path = adapters.upload_path(token, request.actor.ref)
    try:
        looks, items = queries.proposal(path)
    except UserError:
        adapters.drop_upload(path)
        raise
    datasets = queries.loadable(request.actor)
    best = request.GET.get("dataset") or queries.best_match(looks.columns, request.actor)
    target = TargetForm(datasets=datasets, initial={"dataset": best, "mode": "incremental"})
    new = NewDataset(
        departments=queries.departments_run(request.actor),
        initial={
            "title": Path(path).stem,
            "code": rules.table_name(queries.spelled(Path(path).stem)),
            "department": request.actor.department.slug if request.actor.department else "",
        },
    )
    if request.method == "POST":
        if request.POST.get("what") == "new":
            new = NewDataset(request.POST, departments=queries.departments_run(request.actor))
            form: TargetForm | NewDataset = new
        else:
            form = target = TargetForm(request.POST, datasets=datasets)
        if form.is_valid():
            try:
                return _load(request, token, form, len(items))
            except UserError as error:
                form.add_error(None, str(error))
    return render(
        request,
        "collection/proposal.html",
        {
            "path": path,
            "steps": STEPS,
            "looks": looks,
            "items": list(enumerate(items)),
            "target": target,
            "new": new,
            "types": TYPE_CHOICES,
            "sample": looks.sample_rows[:5],
            "bad": request.method == "POST" and request.POST.get("what") == "new",
        },
    )


def _load(
    request: ActorRequest, token: str, form: TargetForm | NewDataset, count: int
) -> HttpResponse:
    if not once(request):
        return redirect("collection:batches")
    told = form.cleaned_data
    if isinstance(form, NewDataset):
        items, key = proposed_items(request.POST, count)
        owner = queries.department_run(told["department"], request.actor)
        resource = actions.register_proposal(
            code=told["code"],
            title=told["title"],
            owner=owner,
            items=items,
            key=key,
            by=request.actor,
        )
        name, mode = resource.name, "incremental"
    else:
        name, mode = told["dataset"], told["mode"]
    made = actions.queue_upload(dataset=name, token=token, mode=mode, by=request.actor)
    return redirect("collection:batch", code=made.code)
