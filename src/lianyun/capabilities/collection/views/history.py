"""History view: a dataset as it stood after a batch or on a day, and what differs from another state."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.http import HttpResponse

from lianyun.kernel.access import UserError
from lianyun.ui import charts
from lianyun.ui.pages import ActorRequest, page
from lianyun.ui.tables import Empty

from .. import queries
from .batches import changed_table


class HistoryForm(forms.Form):
    """Which state, and against which earlier one; a day stands for the last batch of that day."""

    to = forms.CharField(required=False)
    since = forms.CharField(required=False)
    day = forms.DateField(required=False)


def _chosen(
    form: HistoryForm, known: list[queries.State]
) -> tuple[queries.State, queries.State | None]:
    """The state that is looked at and the earlier one it is compared with, if any."""
    if not form.is_valid():
        raise UserError("日期应写成 2026-01-31 这样")
    day: dt.date | None = form.cleaned_data["day"]
    by_code = {s.code: s for s in known}
    if day is not None:
        state = queries.state_on(known, day)
        if state is None:
            raise UserError(f"{day:%Y-%m-%d} 之前还没有归集过这个数据集")
    else:
        state = by_code.get(form.cleaned_data["to"] or known[0].code)
    since = form.cleaned_data["since"]
    if state is None or (since and since not in by_code):
        raise UserError("没有这个批次，请从列表中选择")
    return state, by_code[since] if since else None


@page(permission="collection.read")
def history(request: ActorRequest, name: str) -> HttpResponse:
    """A dataset's former states: rows over time, one state's rows, the difference of two, masked."""
    row = queries.one_row(name, request.actor)
    resource = row.resource
    known = queries.states(resource, request.actor, row.rows or 0)
    form = HistoryForm(request.GET)
    told: dict[str, Any] = {"resource": resource, "states": known[: queries.MOST_STATES]}
    rows: list[queries.Changed] = []
    if known:
        state, since = _chosen(form, known)
        titles, sample = queries.sample(resource, request.actor, after=state.code)
        told |= {"state": state, "since": since, "titles": titles, "sample": sample}
        if since is not None:
            rows, counts = queries.differing(resource, since.code, state.code, request.actor)
            told |= {
                "inserted": counts.get("insert", 0),
                "updated": counts.get("update", 0),
                "deleted": counts.get("delete", 0),
                "total": sum(counts.values()),
                "shown": len(rows),
            }
        recent = list(reversed(known[:30]))
        told["figure"] = charts.Chart(
            "line",
            "每一批之后的行数",
            [f"{s.at:%m-%d} {s.code[-4:]}" for s in recent],
            [charts.Series("行数", [s.rows for s in recent])],
            "行",
            first_column="批次",
        )
    table = changed_table(
        request,
        rows,
        "两个时点之间的差异",
        Empty("没有差异", "两个时点的数据完全相同；改过又改回来的不算差异。", icon="check"),
    )
    return table.respond(request, "collection/history.html", told)
