"""Kinds: a type of licence is published in the browser, by the checks that packs' types go through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lianyun.capabilities.editions import api as editions
from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from ..queries import kinds

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@action("editions.publish")
def publish_type(data: Mapping[str, Any], *, note: str = "", by: Actor) -> int:
    """Make this declaration the type's newest edition; returns its number. Raises UserError with its faults.

    Licences that were issued keep their elements: a new edition may add some, never take one away.
    """
    if wrong := kinds.faults_of(data):
        raise UserError(f"证照类型不能发布：{'；'.join(wrong[:3])}")
    made = editions.publish("licences", str(data["name"]), data, note=note, by=by)
    record(
        "licence_type.published", made, by=by, data={"type": data["name"], "version": made.number}
    )
    return made.number


__all__ = ["publish_type"]
