"""Comparing: what a reviewer reads of two contents."""

from __future__ import annotations

from lianyun.capabilities.builder import queries
from lianyun.capabilities.builder.rules import content as parts
from lianyun.kernel.access import SYSTEM

ASKED = {
    "id": "vehicle",
    "question": "车辆是谁的",
    "options": [{"id": "own", "title": "自有"}, {"id": "rent", "title": "租赁"}],
}
LEASE = {"id": "lease", "name": "租赁合同", "when": "vehicle == 'rent'"}


def test_a_condition_is_told_in_the_words_of_its_question(city: None) -> None:
    before = {parts.ITEM: {"situations": [ASKED], "materials": []}}
    now = {parts.ITEM: {"situations": [ASKED], "materials": [LEASE]}}
    (found,) = queries.differences(before, now, "freight", "ga", SYSTEM)
    told = str(found.rows)
    assert "车辆是谁的" in told
    assert "租赁" in told.replace("租赁合同", "")
    assert "vehicle ==" not in told
