"""Jobs: what the worker does for cascade: conversations, chunks, landings, and the clock's tick."""

from __future__ import annotations

from . import actions


def converse(link: str) -> None:
    """Talk with one node; a failure is kept with the link and tried again later."""
    actions.converse(link)


def apply(link: str) -> None:
    """Try again what could not be applied."""
    actions.apply_link(link)


def announce(link: str) -> None:
    """Tell a node all our published entries."""
    actions.announce_all(link)
    actions.converse(link, force=True)


def carry(code: str) -> None:
    """Send a transfer's chunks."""
    actions.carry_transfer(code)


def land(code: str) -> None:
    """Load what has arrived."""
    actions.land_transfer(code)


def send(flow: int) -> None:
    """Begin a transfer that was arranged."""
    actions.send_due(flow)


def tick() -> None:
    """Each minute: renew leases, talk where something waits, take up what broke off."""
    actions.move_on()
