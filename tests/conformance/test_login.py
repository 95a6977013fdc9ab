"""The login judged by outside suites, unchanged: openid-client and oauth4webapi in node, scim2-tester."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from lianyun.project import frontend

HERE = Path(__file__).parent
PASSWORD = "Haizhou-2026"
BACK = "http://127.0.0.1:9/callback"


def _told(site: str, **more: Any) -> dict[str, Any]:
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.login import api as login
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    name = more.pop("username")
    identity.create_account(
        department("mz"), "周敏", name, [], password=PASSWORD, must_change=False, by=SYSTEM
    )
    system, secret = login.register_system(
        department=department("mz"),
        design=login.Design(
            name="困难群众救助系统",
            purpose="办理临时救助",
            grants=("authorization_code", "refresh_token", "client_credentials"),
            redirect_uris=BACK,
            logout_uris="http://127.0.0.1:9/bye",
            scopes={"profile": "称呼您"},
            api_scopes=("relief.read",),
            level=more.pop("level", 0),
        ),
        by=SYSTEM,
    )
    return {
        "issuer": site,
        "client_id": system.client_id,
        "secret": secret,
        "redirect_uri": BACK,
        "logout_uri": "http://127.0.0.1:9/bye",
        "username": name,
        "password": PASSWORD,
        **more,
    }


@pytest.mark.parametrize("method", ["basic", "post"])
def test_openid_client_and_oauth4webapi(site: str, method: str) -> None:
    """Two libraries of the certification programme walk a whole login and find nothing to refuse."""
    if not frontend.installed():
        pytest.skip("前端库未安装")
    told = _told(site, username=f"mz.zhou{method}", method=method)
    done = subprocess.run(
        [frontend.node(), str(HERE / "openid_flow.mjs")],
        env={
            **os.environ,
            "JUDGES": str(frontend.folder() / "node_modules"),
            "TOLD": json.dumps(told),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["seen"] == ["/login/", "/oidc/onward", "/oidc/authorize"]
    assert seen["loops"] == 0
    assert seen["claims"]["iss"] == site
    assert seen["claims"]["acr"].startswith("urn:lianyun:level:")
    assert seen["claims"]["sub"] != told["username"]
    assert "name" not in seen["claims"]
    assert seen["info"]["name"] == "周敏"
    assert seen["user"]["sub"] == seen["claims"]["sub"] == seen["asked"]["sub"]
    assert seen["machine"] == "relief.read"
    assert (seen["reuse"], seen["after"]) == ("invalid_grant", "invalid_grant")
    assert seen["revoked"] is False
    assert seen["status"] == 302
    assert seen["left"] == "http://127.0.0.1:9/bye?state=bye"


def test_scim2_tester(city_database: None) -> None:
    """scim2-tester creates, reads, changes and deletes people over a department's token."""
    from django.core.wsgi import get_wsgi_application
    from scim2_client.engines.wsgi import WSGISCIMClient
    from scim2_tester import Status, check_server

    from lianyun.capabilities.login import actions
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    _, token = actions.open_directory(department=department("mz"), by=SYSTEM)
    application = get_wsgi_application()
    place = "http://127.0.0.1/scim/v2"
    bearer = {"Authorization": f"Bearer {token}"}
    results = check_server(WSGISCIMClient(application, base_url=place, headers=bearer))
    wrong = [r for r in results if r.status in (Status.ERROR, Status.CRITICAL)]
    assert not wrong, "\n".join(f"{r.title}: {r.reason}" for r in wrong)
    passed = {r.title for r in results if r.status == Status.SUCCESS}
    assert len(passed) > 8, passed
    stranger = httpx.Client(transport=httpx.WSGITransport(app=application))
    assert stranger.get(f"{place}/Users").status_code == 401
