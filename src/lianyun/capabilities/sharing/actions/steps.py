"""Steps: the one door through which every work item of sharing is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.models import Case, WorkItem

from . import disposals, disputes, misuse, needs, requests, returns, stops, told

Handler = Callable[[WorkItem, str, str, dict[str, Any], Actor], Case]
HANDLERS: dict[str, Handler] = {
    requests.REQUEST: requests.work,
    requests.EXTENSION: requests.decide_extension,
    disposals.PATH: disposals.work,
    misuse.PATH: misuse.work,
    stops.PATH: stops.work,
    disputes.PATH: disputes.work,
    needs.PATH: needs.work,
    returns.PATH: returns.work,
}


@action("sharing.read")
def do_step(
    *,
    item: WorkItem,
    outcome: str,
    note: str = "",
    data: Mapping[str, Any] | None = None,
    by: Actor,
) -> Case:
    """Do a work item of a sharing case; the step's own permission is asked as well.

    What `data` may hold stands with each path's `work`. Raises UserError and Denied.
    """
    handler = HANDLERS.get(item.case.path.key)
    if handler is None:
        raise UserError("这不是共享交换的办件")
    by.require(item.permission, item.department)
    done = handler(item, outcome, note, dict(data or {}), by)
    told.tell_step(item, outcome, note, done, by)
    if done.path.key == requests.REQUEST and done.outcome == "delivered":
        needs.note_first_share(done, by)
    return done
