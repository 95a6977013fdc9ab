"""Hosts: nothing inside is called unless the operator's list names it."""

from __future__ import annotations

import socket

import pytest

from lianyun.trust import hosts

LIST = "LIANYUN_TEST_HOSTS"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254",
     "172.16.0.1", "100.64.0.1", "0.0.0.0", "fe80::1", "fe80::1%eth0", "fc00::1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "not-an-address"],
)  # fmt: skip
def test_only_the_public_network_passes_by_itself(address: str) -> None:
    assert hosts.problem(address, LIST)
    assert hosts.problem("8.8.8.8", LIST) == ""


def test_what_the_operator_allows() -> None:
    assert hosts.listed("db.lyg.gov.cn", "10.1.2.3", 3306, ["*.lyg.gov.cn"])
    assert hosts.listed("db", "10.1.2.3", 3306, ["10.1.0.0/16:3306"])
    assert not hosts.listed("db", "10.1.2.3", 22, ["10.1.0.0/16:3306"])
    assert not hosts.listed("db", "10.2.2.3", 3306, ["10.1.0.0/16"])
    assert not hosts.listed("evil-lyg.gov.cn.example", "10.1.2.3", 80, ["*.lyg.gov.cn"])


def test_every_address_of_a_name_is_judged_and_the_first_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["8.8.8.8", "10.0.0.1"]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (a, 80)) for a in found]
    )
    monkeypatch.delenv(LIST, raising=False)
    with pytest.raises(hosts.HostRefused, match=f"内网地址，除非平台运营把它加入 {LIST}"):
        hosts.address_of("two.example", 80, LIST)
    monkeypatch.setenv(LIST, "10.0.0.0/8:443, two.example:81")
    with pytest.raises(hosts.HostRefused):
        hosts.address_of("two.example", 80, LIST)
    monkeypatch.setenv(LIST, "10.0.0.0/8:80")
    assert hosts.address_of("two.example", 80, LIST) == "8.8.8.8"
    found.clear()
    with pytest.raises(hosts.HostRefused) as away:
        hosts.address_of("two.example", 80, LIST)
    assert away.value.away
