"""Sample login: a department's own system is registered, and served beside the sample city."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PORT = 8090


def _told(home: Path) -> Path:
    return home / "demo" / "department-system.json"


def join_system(home: Path, officer: Callable[[str], Any]) -> dict[str, Any]:
    """The bureau's officer registers the sample system of a department; its secret goes to a file."""
    from lianyun.capabilities.login import api as login
    from lianyun.kernel.party import department
    from lianyun.project.supervisor import host, port

    file, own = _told(home), f"http://127.0.0.1:{PORT}"
    if file.exists():
        return {"address": own}
    system, secret = login.register_system(
        department=department("mz"),
        design=login.Design(
            name="困难群众救助系统（模拟数据）",
            purpose="办理临时救助",
            redirect_uris=f"{own}/callback",
            logout_uris=own,
            backchannel_uri=f"{own}/backchannel",
            scopes={"profile": "在页面上称呼您", "staff": "区分经办人和申请人"},
            level=0,
        ),
        by=officer("yunying"),
    )
    told = {
        "issuer": f"http://{host()}:{port()}",
        "client_id": system.client_id,
        "secret": secret,
        "port": PORT,
    }
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as text:
        json.dump(told, text)
    return {"address": own}


@contextlib.contextmanager
def department_system(home: Path) -> Iterator[None]:
    """The department's system as a process of its own, as long as the city is served."""
    root = Path(__file__).resolve().parents[3]
    if not _told(home).exists() or not (root / "demo").is_dir():
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.department_system", str(_told(home))],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


__all__ = ["department_system", "join_system"]
