"""Messages: events told to people, beside a bare insert of the same rows; what an event pays for it.

``python benchmarks/messages.py [--events N] [--growth K]``: N events, each about another person who
has a telephone and a mail address, are read from the sealed ledger and become messages with their
sendings. The peer writes rows of the same size, messages and sendings, by Django's bulk insert and
knows neither readers nor choices nor words. Then K times as many events. Last, what recording an event
costs whose kind is told of here, beside one of a kind that a listener hears: the same event, once
without a job and once with.
Targets: at least a fifth of the bare insert's rate; an event that is told costs its writer no more
than one that is not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

from installation import installation

SHARE = 0.2
HEARD = "booking.called_off"


def people(count: int) -> list[Any]:
    """Persons with an account that can be reached both ways."""
    from lianyun.capabilities.identity.models import Account
    from lianyun.kernel.models import Party

    rows = Party.objects.bulk_create(
        [Party(kind="person", name=f"市民{n}") for n in range(count)], batch_size=2000
    )
    Account.objects.bulk_create(
        [Account(party=p, phone_sealed="x", mail_sealed="x") for p in rows], batch_size=2000
    )
    return rows


def ours(parties: list[Any], name: str) -> float:
    """Seconds to tell every party of an event of its own; each exactly once."""
    from lianyun.capabilities.messages import api
    from lianyun.kernel import event
    from lianyun.kernel.access import SYSTEM

    told = {"item_name": name, "hall_name": "市民服务中心", "day": "2026-12-01", "slot": "09:00"}
    event.record_many(
        HEARD, [(f"booking:{p.pk}", {**told, "to": p.ref}) for p in parties], by=SYSTEM
    )
    while event.seal():
        pass
    before = api.Sending.objects.count()
    began = time.perf_counter()
    made = api.take(by=SYSTEM)
    took = time.perf_counter() - began
    assert made == len(parties), (made, len(parties))
    assert api.Sending.objects.count() - before == 2 * len(parties)
    return took


def peer(parties: list[Any]) -> float:
    """Seconds to insert as many messages and sendings, made of one text."""
    from django.db import transaction
    from django.utils import timezone

    from lianyun.capabilities.messages.models import Message, Sending

    now = timezone.now()
    began = time.perf_counter()
    for at in range(0, len(parties), 500):
        with transaction.atomic():
            rows = Message.objects.bulk_create(
                [
                    Message(party=p, key="bare", once=f"bare:{now}", title="甲" * 30, text="乙" * 80, urgency="low")
                    for p in parties[at : at + 500]
                ]
            )  # fmt: skip
            Sending.objects.bulk_create(
                [Sending(message=m, channel=c, due_at=now) for m in rows for c in ("sms", "mail")]
            )
    took = time.perf_counter() - began
    Message.objects.filter(key="bare").delete()
    return took


def writers(kinds: tuple[str, ...], count: int) -> list[float]:
    """Milliseconds of this process for one recorded event of each kind, in turn; the medians."""
    from django.db import transaction

    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.event import record

    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(count):
        for kind in kinds:
            began = time.process_time()
            with transaction.atomic():
                record(kind, f"bench:{number}", by=SYSTEM, data={"n": number})
            took[kind].append((time.process_time() - began) * 1000)
    return [statistics.median(took[kind]) for kind in kinds]


def measure(events: int, growth: int) -> bool:
    """Run both, print, and say whether the targets are met."""
    met = True
    ours(people(200), "热身")
    for count in (events, events * growth):
        parties = people(count)
        own, bare = ours(parties, "居住证签注"), peer(parties)
        met = met and bare / own >= SHARE
        print(
            f"{count:>7,} 件事告诉 {count:,} 人  {own:6.2f} 秒（每秒 {count / own:6,.0f} 人）   "
            f"裸写入同样多的行 {bare:6.2f} 秒（每秒 {count / bare:6,.0f} 人）   比 {bare / own:.2f}"
        )
    plain, told, heard = writers(("bench.plain", HEARD, "device.met"), 600)
    print(
        f"写一条事件（本进程处理器，中位）：没人要知道的 {plain:.2f} 毫秒，消息要告知的 {told:.2f} 毫秒"
        f"（比 {told / plain:.2f}），有监听者的 {heard:.2f} 毫秒（比 {heard / plain:.2f}）"
    )
    return met and told / plain <= 1.1


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--growth", type=int, default=4)
    arguments = parser.parse_args()
    with installation():
        met = measure(arguments.events, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
