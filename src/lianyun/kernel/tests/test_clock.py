"""Working days: figures checked by hand against the published lists."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.kernel.clock import CalendarMissing, calendar, remaining

known_days = st.dates(dt.date(2005, 1, 1), dt.date(2025, 12, 31))


def test_national_day_and_make_up_days() -> None:
    days = calendar()
    assert days.add_working_days(dt.date(2024, 9, 29), 10) == dt.date(2024, 10, 17)
    assert days.add_working_days(dt.date(2025, 1, 20), 20) == dt.date(2025, 2, 21)
    assert days.is_working_day(dt.date(2024, 9, 29)), "a Sunday made up for"
    assert not days.is_working_day(dt.date(2024, 10, 1))


@given(known_days, st.integers(1, 60))
def test_adding_and_counting_agree(start: dt.date, days: int) -> None:
    end = calendar().add_working_days(start, days)
    assert calendar().working_days_between(start, end) == days
    assert calendar().is_working_day(end)


def test_a_year_without_a_list_is_refused_and_said() -> None:
    last = calendar().years[-1]
    with pytest.raises(CalendarMissing, match=str(last + 1)):
        calendar().add_working_days(dt.date(last, 12, 20), 30)


def test_a_deadline_in_an_unknown_year_is_provisional_and_never_late() -> None:
    last = calendar().years[-1]
    due, provisional = calendar().deadline(dt.date(last, 12, 20), 30)
    assert provisional
    assert due.year == last + 1
    assert remaining(due, dt.date(last, 12, 20)) == 30
    assert remaining(dt.date(last, 12, 20), due) == -30


def test_remaining_counts_down_to_zero_and_below() -> None:
    due = dt.date(2024, 10, 17)
    assert remaining(due, dt.date(2024, 10, 16)) == 1
    assert remaining(due, due) == 0
    assert remaining(due, dt.date(2024, 10, 18)) == -1
