"""At once: processes that read the ledger and send in the same instant, and one killed with a letter in hand."""

from __future__ import annotations

import pytest

from lianyun.project import testing

STORY = """
import datetime as dt, json, os, signal, socket, django
django.setup()
from aiosmtpd.controller import Controller
from django.conf import settings
from django.db import connections
from django.utils import timezone
from lianyun.capabilities.identity.adapters import MAIL_USE, seal
from lianyun.capabilities.identity.models import Account
from lianyun.capabilities.messages import actions
from lianyun.capabilities.messages.actions import sending
from lianyun.capabilities.messages.models import Message, Sending
from lianyun.kernel import event
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Event, Party

COUNT = 60
people = [Party.objects.create(kind="person", name=f"民{n}") for n in range(COUNT)]
Account.objects.bulk_create(
    [Account(party=p, mail_sealed=seal(f"p{p.pk}@example.cn", MAIL_USE)) for p in people]
)

class Sink:
    kept = []
    async def handle_DATA(self, server, session, envelope):
        self.kept.append(envelope.rcpt_tos[0])
        return "250 OK"

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"

def happened():
    told = {"item_name": "居住证签注", "hall_name": "大厅", "day": "2026-12-01"}
    event.record_many(
        "booking.called_off",
        [(f"booking:{p.pk}", {**told, "to": p.ref}) for p in people], by=SYSTEM,
    )
    event.seal()

def in_processes(count, work):
    connections.close_all()
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            work()
            os._exit(0)
        children.append(pid)
    return [os.WTERMSIG(os.waitpid(pid, 0)[1]) for pid in children]

def minute():
    actions.take(by=SYSTEM)
    actions.send_due(by=SYSTEM)

def dies_sending():
    before, sent = sending._out, []
    def out(rows):
        if len(sent) == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        sent.append(rows)
        return before(rows)
    sending._out = out
    minute()

server = Controller(Sink(), hostname="127.0.0.1", port=port)
server.start()
happened()
ends = in_processes(4, minute)
first = {"ends": ends, "messages": Message.objects.count(), "mails": len(Sink.kept),
         "readers": len(set(Sink.kept)), "open": Sending.objects.filter(sent_at=None).count()}
Sink.kept.clear()
happened()
killed = in_processes(1, dies_sending)
after = {"killed": killed, "messages": Message.objects.count(), "mails": len(Sink.kept)}
Sending.objects.filter(sent_at=None).update(due_at=timezone.now() - dt.timedelta(seconds=1))
in_processes(2, minute)
end = {"mails": len(Sink.kept), "readers": len(set(Sink.kept)),
       "open": Sending.objects.filter(sent_at=None).count()}
server.stop()
print(json.dumps({"count": COUNT, "first": first, "after": after, "end": end}))
"""


@pytest.mark.slow
def test_four_workers_send_each_letter_once_and_a_dead_one_loses_none(
    house: dict[str, str],
) -> None:
    told = testing.told(house, STORY)
    count = told["count"]
    assert told["first"] == {
        "ends": [0, 0, 0, 0], "messages": count, "mails": count, "readers": count, "open": 0
    }  # fmt: skip
    assert told["after"] == {"killed": [9], "messages": 2 * count, "mails": 5}
    assert told["end"] == {"mails": count, "readers": count, "open": 0}
