"""Licence credentials judged by @sd-jwt/sd-jwt-vc (npm), unchanged: what it accepts and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lianyun.capabilities.licences.rules import credential
from lianyun.project import frontend

HERE = Path(__file__).parent
URI = "https://city.example/licences/status/0"


def judged(text: str, status: str, key: dict[str, Any], now: int) -> dict[str, Any]:
    if not frontend.installed():
        pytest.skip("前端库未安装")
    done = subprocess.run(
        [frontend.node(), str(HERE / "sd_jwt.mjs")],
        input=json.dumps({"credential": text, "status": status, "key": key, "now": now}),
        env={**os.environ, "JUDGES": str(frontend.folder() / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_over_eighteen_and_nothing_else_by_an_outside_library() -> None:
    now, key = int(time.time()), credential.new_key()
    public = {n: v for n, v in key.as_dict(private=False).items() if n in ("kty", "crv", "x", "y")}
    whole = credential.issue(
        issuer="https://city.example",
        kind="https://city.example/licences/types/residence_permit",
        claims={"name": "张三丰", "citizen_number": "320703199003070016", "age_over_18": True},
        open_claims={"licence_title": "居住证"},
        issued=now,
        expires=now + 600,
        status=(URI, 7),
        key=key,
    )
    shown = credential.reduced(whole, ["age_over_18"])

    def status(value: int) -> str:
        return credential.status_token(
            uri=URI,
            statuses={7: value} if value else {},
            size=1 << 17,
            issued=now,
            seconds=60,
            key=key,
        )

    good = judged(shown, status(0), public, now)
    assert good["ok"], good
    assert good["payload"]["age_over_18"] is True
    assert good["payload"]["licence_title"] == "居住证"
    assert not {"name", "citizen_number"} & set(good["payload"])
    assert not judged(shown, status(1), public, now)["ok"]
    assert not judged(shown, status(0), public, now + 9_999)["ok"]
    at = len(shown.split("~")[0]) // 2
    changed = shown[:at] + ("A" if shown[at] != "A" else "B") + shown[at + 1 :]
    assert not judged(changed, status(0), public, now)["ok"]
