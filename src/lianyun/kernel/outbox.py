"""Outbox: every listener of an event gets its own durable job, written in the event's transaction."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .manifest import listeners

if TYPE_CHECKING:
    from .event import Event

TASK = "lianyun.deliver"


def defer(event: Event) -> None:
    """Queue one job per listener; they run after commit, each by itself, with retries."""
    for run in listeners(event.kind):
        from procrastinate.contrib.django import app

        app.configure_task(TASK, queue="events").defer(event_id=event.pk, run=run)


def load(path: str) -> Any:
    """The function at a dotted path; raises ImportError naming it."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise ImportError(f"{path} does not exist") from error


def deliver(event_id: int, run: str) -> None:
    """Call one listener with one event; a listener must bear being called twice."""
    from .event import Event

    load(run)(Event.objects.get(pk=event_id))
