"""Publishing: an item that was drawn up elsewhere (the service builder) and agreed to there comes onto the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import queries
from ..models import Listing
from ..queries.around import around
from ..rules.checks import ERROR, check
from ..rules.content import spelled
from ..rules.item import BadItem, read
from . import store
from .editing import in_review

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@action("items.review")
def publish_content(*, content: Mapping[str, Any], note: str, by: Actor) -> Listing:
    """Make this content the item's next version, by the checks that packs' items go through.

    That two have agreed to it is the caller's matter. Raises UserError naming what is wrong.
    """
    parties = queries.departments(by)
    lean = around(parties)
    try:
        whole = spelled(content, lean)
        item = read(whole, lean)
    except (BadItem, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"事项不能发布：{error}") from error
    wrong = [f.text for f in check(item, queries.known(by, parties)) if f.severity == ERROR]
    if wrong:
        raise UserError(f"事项不能发布：{'；'.join(wrong[:3])}")
    store.lock()
    before = Listing.objects.select_related("case").filter(code=item.code).first()
    if before is not None and in_review(before):
        raise UserError("这个事项的修订稿正在审核中，请先办结")
    if before is not None and before.department_id != parties[item.department].pk:
        raise UserError(f"标识 {item.code} 是其他部门的事项")
    twin = (
        Listing.objects.filter(implementing_code=item.implementing_code)
        .exclude(code=item.code)
        .first()
    )
    if twin is not None:
        raise UserError(f"实施编码与“{twin.name}”相同，请换一个基本编码")
    (row,) = store.put(
        [store.Ready(item, whole, faults=0)], publish=True, by=by, parties=parties, note=note
    )
    record(
        "item.published",
        row,
        by=by,
        data={"title": f"发布第 {row.version} 版", "version": row.version, "note": note},
    )
    return row


__all__ = ["publish_content"]
