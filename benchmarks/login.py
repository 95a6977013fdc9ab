"""Login: whole logins into a department's system, against the password check alone and Keycloak's figure.

``python benchmarks/login.py [--logins N] [--growth K]`` walks N whole code flows one after another,
each with a fresh browser: login page, password (argon2id, 19 MiB, two passes, one lane: what OWASP
recommends, as strong as Keycloak's own default of 7 MiB and five passes), authorization, token,
userinfo; one process and its database on one core each at most. Beside it, in the same run: the
argon2 check of the same password alone, which nothing can save. Then K times as many people and
entries, to see how it grows. Target: 15 whole logins for a second of one processor, what Keycloak
publishes (keycloak.org, High availability: Concepts for sizing CPU and memory resources: "for each
15 password-based user logins per second, allocate 1 vCPU to the Cluster"; its database is sized
apart, so here too only the application's own processor time counts, the browser's that runs in the
same process included; the process is set up as the server sets up its own, and every browser is a
device that the account has not seen, so that each login is told to the account's others). One after another they also wait for the database's disk: that rate stands
beside. Another machine, so the ratio is a guide.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import time
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from installation import installation

KEYCLOAK = 15.0
PASSWORD = "Haizhou-2026"
BACK = "https://relief.example/callback"
VERIFIER = "v" * 50
_APPLICATION: list[Any] = []


def prepare(people: int) -> tuple[Any, str]:
    """People with accounts, and a system that they have let know their names."""
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.login import api as login
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    for n in range(people):
        identity.create_account(
            department("mz"),
            f"张{n}",
            f"mz.p{n}",
            [],
            password=PASSWORD,
            must_change=False,
            by=SYSTEM,
        )
    return login.register_system(
        department=department("mz"),
        design=login.Design(
            name="救助系统", purpose="试", redirect_uris=BACK, scopes={"profile": "称呼"}, level=0
        ),
        by=SYSTEM,
    )


def fresh() -> Any:
    """A browser without cookies, before the one running application: a server loads it once."""
    from django.test import Client

    browser = Client(SERVER_NAME="127.0.0.1")
    if not _APPLICATION:
        _APPLICATION.append(browser.handler)
    browser.handler = _APPLICATION[0]
    return browser


def walk(system: Any, secret: str, username: str) -> None:
    """One whole login; raises where a step does not do what it should."""
    browser, backend = fresh(), fresh()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    query = {
        "response_type": "code",
        "client_id": system.client_id,
        "redirect_uri": BACK,
        "scope": "openid profile",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge.decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    here = f"/oidc/authorize?{urlencode(query)}"
    assert browser.get(here).status_code == 302
    assert browser.get("/login/").status_code == 200
    assert browser.post("/login/", {"username": username, "password": PASSWORD}).status_code == 302
    answer = browser.get(here)
    if answer.status_code == 200:  # the first time, the person is asked
        answer = browser.post(here.replace("authorize", "consent"), {"do": "agree"})
    code = parse_qs(urlsplit(answer["Location"]).query)["code"][0]
    tokens = backend.post(
        "/oidc/token",
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "client_id": system.client_id,
            "client_secret": secret,
        },
    ).json()
    told = backend.get(
        "/oidc/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert told.json()["name"].startswith("张"), told.content


def rate(count: int, work: Any) -> tuple[float, float]:
    """How often a second, and how often for a second of this process's processor time."""
    began, used = time.perf_counter(), time.process_time()
    for n in range(count):
        work(n)
    return count / (time.perf_counter() - began), count / (time.process_time() - used)


def measure(logins: int, growth: int) -> bool:
    """Walk, print, and say whether the target is met."""
    from django.contrib.auth.hashers import check_password, make_password

    from lianyun.capabilities.login.models import Admission

    people = 20
    system, secret = prepare(people)
    kept = make_password(PASSWORD)
    assert kept.startswith("argon2")
    for n in range(people):
        walk(system, secret, f"mz.p{n}")
    speeds = []
    for size in (logins, logins * growth):
        whole, busy = rate(size, lambda n: walk(system, secret, f"mz.p{n % people}"))
        bare, _ = rate(max(logins, 20), lambda n: check_password(PASSWORD, kept))
        speeds.append(busy)
        print(
            f"{Admission.objects.count():>7,} 次登入之后  每秒处理器时间 {busy:6.1f} 次   "
            f"与 Keycloak 公布的 15 次/秒·vCPU 之比 {busy / KEYCLOAK:.2f}   "
            f"逐个登录 {whole:6.1f} 次/秒   只核对密码（argon2） {bare:6.1f} 次/秒"
        )
    return speeds[0] >= KEYCLOAK


def main() -> int:
    """Parse, prepare a new installation, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=100)
    parser.add_argument("--growth", type=int, default=4)
    arguments = parser.parse_args()
    with installation():
        import_module("lianyun.project.asgi")  # pages loaded, memory frozen: as a server starts
        met = measure(arguments.logins, arguments.growth)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
