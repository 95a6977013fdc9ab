"""Host: the address of a receiver, judged by the one rule of the house (lianyun.trust.hosts)."""

from __future__ import annotations

from lianyun.trust import hosts

from ..rules import ReceiverError

SETTING = "LIANYUN_RECEIVER_HOSTS"


def address_of(host: str, port: int, *, vouched: bool) -> str:
    """The IP address to connect to; raises ReceiverError where any of the host's may not be used."""
    try:
        return hosts.address_of(host, port, SETTING, vouched=vouched)
    except hosts.HostRefused as refused:
        raise ReceiverError(str(refused), away=refused.away, final=not refused.away) from refused
