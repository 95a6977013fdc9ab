"""Host: the address of another machine, looked up once, judged, and then connected to as judged."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence


class HostRefused(Exception):
    """This host may not be called, or nothing is known of it; the message (Chinese) says why.

    `away` means that its name could not be looked up now: another time it may be there.
    """

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away


def problem(address: str, setting: str) -> str:
    """Why nothing may be sent to this IP address unless the operator allows it, or nothing.

    Only addresses of the public network pass: loopback, private, link-local, shared (RFC 6598),
    multicast and reserved ones are refused, also where they hide in an IPv6 address. `setting` is
    the name of the operator's list, for the message.
    """
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return f"“{address}”不是有效的 IP 地址"
    for inner in ("ipv4_mapped", "sixtofour"):
        hidden = getattr(ip, inner, None)
        if hidden is not None:
            ip = hidden
    teredo = getattr(ip, "teredo", None)
    if teredo is not None:
        ip = teredo[1]
    if ip.is_loopback:
        return f"不允许访问本机地址，除非平台运营把它加入 {setting}"
    if ip.is_link_local:
        return "不允许访问链路本地或云主机元数据地址"
    if ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return "不允许访问组播、保留或未指定地址"
    if not ip.is_global:
        return f"不允许访问内网地址，除非平台运营把它加入 {setting}"
    return ""


def listed(host: str, address: str, port: int, allowed: Sequence[str]) -> bool:
    """Whether the operator's list names the host, its address or the network it lies in.

    Entries: `host`, `host:port`, `10.1.0.0/16`, `10.1.0.0/16:3306`, `*.lyg.gov.cn`.
    """
    for entry in allowed:
        name, _, wanted = entry.lower().strip().rpartition(":")
        if not name or not wanted.isdigit() or name.count(":") > 1:
            name, wanted = entry.lower().strip(), ""
        if wanted and int(wanted) != port:
            continue
        if name == host.lower() or (name.startswith("*.") and host.lower().endswith(name[1:])):
            return True
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def allowed(setting: str) -> tuple[str, ...]:
    """The operator's list in the environment variable `setting`: entries between commas."""
    return tuple(h.strip() for h in os.environ.get(setting, "").split(",") if h.strip())


def address_of(
    host: str, port: int, setting: str, *, also: Sequence[str] = (), vouched: bool = False
) -> str:
    """The IP address to connect to; raises HostRefused where any of the host's may not be used.

    Every address is judged and the first is returned for the connection, so that a name which
    answers otherwise the second time (DNS rebinding) gains nothing. `also` are further entries of
    the operator's list. `vouched`: the operator himself named this host, nothing is judged.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostRefused(f"主机“{host}”解析不到地址，请检查主机名或网络", away=True) from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise HostRefused(f"主机“{host}”解析不到地址，请检查主机名或网络", away=True)
    if not vouched:
        for address in addresses:
            wrong = problem(address, setting)
            if wrong and not listed(host, address, port, (*allowed(setting), *also)):
                raise HostRefused(f"主机“{host}”：{wrong}")
    return addresses[0]
