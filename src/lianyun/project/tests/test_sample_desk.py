"""The sample's desks: applications come to different ends once, and a second call changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lianyun.capabilities.ratings import api as ratings
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Party
from lianyun.kernel.party import department
from lianyun.project import sample_desk
from lianyun.project.sample import officer

pytestmark = pytest.mark.django_db


def test_the_desks_work(city: None, tmp_path: Path) -> None:
    (tmp_path / "demo-password").write_text("Haizhou-2026")
    told = sample_desk.open_doors(tmp_path, lambda *_: None)
    assert "ga.shenpi" in told
    citizen = Party.objects.create(kind="person", name="张三丰")
    for number in range(len(sample_desk.FAR)):
        cases.open_case(
            "item_promised",
            title=f"第 {number} 件",
            subject="item:no_such_item",
            applicant=citizen,
            department=department("ga"),
            data={"promised_days": 3},
            by=SYSTEM,
        )
    done = sample_desk.work(officer, lambda *_: None)
    assert done == {"worked": 8, "granted": 3, "rated": 4, "urged": 1}
    assert ratings.whole(SYSTEM).bad == 1
    sample_desk.open_doors(tmp_path, lambda *_: None)
    assert sample_desk.work(officer, lambda *_: None)["worked"] == 0
