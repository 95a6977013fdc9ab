"""Counters: clerks who call at once, beside a bare queue in the same database.

``python benchmarks/counters.py [--tickets N] [--clerks N] [--growth K]``: N tickets wait in one hall,
several clerks (threads) call and finish them until nobody waits; every ticket must be called exactly
once. The peer is the usual queue of PostgreSQL: a row taken by ``FOR UPDATE SKIP LOCKED``, then marked
done, in two transactions, without order between lanes, permissions or events. Then K times as many
tickets, to see how it grows. Last the hall's screen, as often as it is asked.
Target: a call with its finish within 100 ms at the median while all clerks press at once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from installation import installation

TARGET = 0.100


def at_once(workers: int, work: Callable[[int], list[float]]) -> tuple[list[float], float]:
    """What so many threads measured together, and how long all took, in seconds."""
    from django.db import connections

    told: list[float] = []
    wrong: list[BaseException] = []

    def run(number: int) -> None:
        try:
            told.extend(work(number))
        except BaseException as error:
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return told, time.perf_counter() - began


def peer(clerks: int, tickets: int) -> tuple[list[float], float]:
    """A bare queue: a row a ticket, taken with SKIP LOCKED and marked done."""
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare_queue")
        cursor.execute("CREATE TABLE bare_queue (id bigserial PRIMARY KEY, stage text, clerk int)")
        cursor.execute(
            "INSERT INTO bare_queue (stage) SELECT 'waiting' FROM generate_series(1, %s)", [tickets]
        )

    def work(number: int) -> list[float]:
        took = []
        while True:
            began = time.perf_counter()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE bare_queue SET stage = 'called', clerk = %s WHERE id = (SELECT id FROM"
                    " bare_queue WHERE stage = 'waiting' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
                    " RETURNING id",
                    [number],
                )
                row = cursor.fetchone()
            if row is None:
                return took
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("UPDATE bare_queue SET stage = 'done' WHERE id = %s", row)
            took.append(time.perf_counter() - began)

    return at_once(clerks, work)


def ours(hall: Any, seats: list[tuple[Any, Any]], tickets: int) -> tuple[list[float], float]:
    """The hall: tickets given at the door, then called and finished by all clerks at once."""
    from lianyun.capabilities.counters import api
    from lianyun.capabilities.counters.models import Ticket
    from lianyun.kernel.access import UserError

    for number in range(tickets):
        api.take(hall, "A", group="elder" if number % 7 == 0 else "", by=seats[0][1])

    def work(number: int) -> list[float]:
        counter, by = seats[number]
        took = []
        while True:
            began = time.perf_counter()
            try:
                ticket = api.call_next(counter, by=by)
            except UserError:
                return took
            api.finish(ticket, by=by)
            took.append(time.perf_counter() - began)

    told = at_once(len(seats), work)
    done = Ticket.objects.filter(hall=hall, stage=Ticket.DONE, calls=1)
    assert len(told[0]) == tickets, (len(told[0]), tickets)
    assert done.count() >= tickets
    return told


def measure(tickets: int, clerks: int, growth: int) -> bool:
    """Run both, print, and say whether the target is met."""
    from django.test import Client

    from lianyun.capabilities.counters import api
    from lianyun.capabilities.counters.models import Hall
    from lianyun.kernel.access import SYSTEM, Membership, actor_of
    from lianyun.kernel.models import Party
    from lianyun.kernel.party import department

    Hall.objects.filter(code="city").update(days="daily", hours=[["00:00", "24:00"]])
    hall = api.hall_of(SYSTEM, "city")
    seats = []
    for number in range(clerks):
        counter, _ = hall.counters.get_or_create(
            number=100 + number, defaults={"title": "综合窗口"}
        )
        party = Party.objects.create(kind="person", name=f"窗口{number}")
        Membership.objects.create(party=party, department=department("zwb"), role="window_clerk")
        by = actor_of(party)
        seats.append((api.sign_on(counter, by=by), by))
    met = True
    for count in (tickets, tickets * growth):
        own, all_own = ours(hall, seats, count)
        bare, all_bare = peer(clerks, count)
        half, most = statistics.median(own), statistics.quantiles(own, n=20)[18]
        print(
            f"{count:>6,} 个号、{clerks} 个窗口同时叫号并办结  中位 {half * 1000:5.1f} 毫秒"
            f"  p95 {most * 1000:5.1f} 毫秒  每秒 {count / all_own:5.0f} 个   "
            f"裸队列（SKIP LOCKED）中位 {statistics.median(bare) * 1000:4.1f} 毫秒"
            f"  每秒 {count / all_bare:5.0f} 个   比 {half / statistics.median(bare):.1f}"
        )
        met = met and half <= TARGET
    for number in range(tickets):
        api.take(hall, "ABCD"[number % 4], by=seats[0][1])
    browser, took = Client(SERVER_NAME="127.0.0.1"), []
    for _ in range(60):
        began = time.perf_counter()
        answer = browser.get("/halls/city/screen/now/")
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200
    print(
        f"叫号屏取一次内容（{tickets} 人等候）  中位 {statistics.median(took) * 1000:.1f} 毫秒"
        f"  p95 {statistics.quantiles(took, n=20)[18] * 1000:.1f} 毫秒"
    )
    return met


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=120)
    parser.add_argument("--clerks", type=int, default=4)
    parser.add_argument("--growth", type=int, default=4)
    arguments = parser.parse_args()
    with installation():
        met = measure(arguments.tickets, arguments.clerks, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
