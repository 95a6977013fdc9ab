"""Numbers: a case's number is its own among fifty at once, after a crash, and nobody waits for one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.utils import timezone

from lianyun.kernel.access import SYSTEM
from lianyun.kernel.case import Case, Numbering, open_case, step
from lianyun.kernel.path import compile_path, declare

WORK = [{"id": "take", "title": "受理", "permission": "x.take"}]


def opened(**more: str) -> Case:
    return open_case("numbered", title="一号", by=SYSTEM, **more)


@pytest.fixture
def path(transactional_db: None) -> None:
    declare("numbered", "编号", compile_path("numbered", "编号", WORK))


def at_once(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """So many threads, each with a connection of its own, starting together; what they raised."""
    barrier, raised = threading.Barrier(count), list[BaseException]()

    def run(n: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            work(n)
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_fifty_at_once_have_fifty_numbers(path: None) -> None:
    drawn: list[str] = []

    def work(n: int) -> None:
        try:
            with transaction.atomic():
                drawn.append(opened().code)
                if n % 5 == 0:
                    raise KeyError("given up")
        except KeyError:
            pass

    assert not at_once(50, work), "the first of the day is drawn by several at once, too"
    assert len(set(drawn)) == 50, "a number that was given up is given to nobody else"
    kept = list(Case.objects.values_list("code", flat=True))
    assert len(kept) == 40
    today = f"{timezone.localdate():%Y%m%d}"
    assert all(re.fullmatch(rf"{today}\d{{6}}", code) for code in drawn)


def test_nobody_waits_for_a_number_that_is_not_committed(path: None) -> None:
    with transaction.atomic():
        opened()  # the first of the day stands
    held, go_on, codes = threading.Event(), threading.Event(), list[str]()

    def work(n: int) -> None:
        if n == 0:
            with transaction.atomic():
                codes.append(opened().code)
                held.set()
                assert go_on.wait(60), "the other one never came through"
            return
        assert held.wait(60)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")
        with transaction.atomic():
            codes.append(opened().code)
        go_on.set()

    assert not at_once(2, work)
    assert codes[0] < codes[1]


def test_a_process_that_dies_takes_its_number_with_it(path: None) -> None:
    with transaction.atomic():
        first = opened().code
    lost: list[str] = []

    def work(n: int) -> None:
        transaction.set_autocommit(False)
        lost.append(opened().code)
        assert connection.connection is not None
        connection.connection.close()  # what the database sees of kill -9

    at_once(1, work)
    with transaction.atomic():
        after = opened().code
    assert first < lost[0] < after
    assert set(Case.objects.values_list("code", flat=True)) == {first, after}


def test_a_day_that_has_begun_goes_on(path: None) -> None:
    with transaction.atomic():
        first = opened()
    Numbering.objects.update(before=first.pk - 41)
    with transaction.atomic():
        assert int(opened().code[8:]) >= 42


def test_the_same_wish_at_once_makes_one_case(path: None) -> None:
    codes: list[str] = []

    def work(n: int) -> None:
        with transaction.atomic():
            codes.append(opened(once="wish-1").code)

    raised = at_once(4, work)
    assert Case.objects.filter(once="wish-1").count() == 1
    assert len(codes) + len(raised) == 4
    with transaction.atomic():
        assert opened(once="wish-1").code in codes
    case = Case.objects.get(once="wish-1")
    with transaction.atomic():
        assert step(case.items.get(), by=SYSTEM).state == Case.CLOSED
