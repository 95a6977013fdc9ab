"""Sample time: the clock is set back for a block, rows bear it, and afterwards it is right again."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from lianyun.kernel.models import Case
from lianyun.project.sample_time import earlier


def ago(moment: dt.datetime, now: dt.datetime) -> int:
    return (now - moment).days


def test_an_earlier_day_is_borne_by_rows_and_ends_with_the_block() -> None:
    now = timezone.now()
    with earlier(3):
        assert ago(timezone.now(), now) in (2, 3)
        assert timezone.localdate() < timezone.localtime(now).date()
        assert ago(Case().opened_at, now) in (2, 3)
    assert ago(Case().opened_at, now) in (-1, 0)
    with pytest.raises(KeyError), earlier(9):
        raise KeyError
    assert ago(timezone.now(), now) in (-1, 0)
