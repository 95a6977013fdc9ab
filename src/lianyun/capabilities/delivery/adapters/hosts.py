"""Host: the address of a receiver, looked up once, judged, and then connected to as judged."""

from __future__ import annotations

import os
import socket

from .. import rules
from ..rules import ReceiverError


def allowed() -> tuple[str, ...]:
    """Hosts and networks that the operator lets subscriptions name."""
    return tuple(
        h.strip() for h in os.environ.get("LIANYUN_RECEIVER_HOSTS", "").split(",") if h.strip()
    )


def address_of(host: str, port: int, *, vouched: bool) -> str:
    """The IP address to connect to; raises ReceiverError where any of the host's may not be used.

    Every address is judged and the first is returned for the connection, so that a name which
    answers otherwise the second time (DNS rebinding) gains nothing.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ReceiverError(f"主机“{host}”解析不到地址，请检查主机名或网络", away=True) from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise ReceiverError(f"主机“{host}”解析不到地址，请检查主机名或网络", away=True)
    if not vouched:
        for address in addresses:
            problem = rules.address_problem(address)
            if problem and not rules.listed(host, address, port, allowed()):
                raise ReceiverError(f"主机“{host}”：{problem}", final=True)
    return addresses[0]
