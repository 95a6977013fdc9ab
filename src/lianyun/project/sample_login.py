"""Sample login: a department's own system and a stand-in of the national platform, beside the city."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PORT = 8090
NATIONAL_PORT = 8091


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


def _national(home: Path) -> Path:
    return home / "demo" / "national-platform.json"


def know_nationals(home: Path) -> dict[str, Any]:
    """Write whom the stand-in of the national platform names (模拟数据): three of the library's people."""
    from lianyun.capabilities.collection import api as collection
    from lianyun.project.supervisor import host, port

    file = _national(home)
    if file.exists():
        return {"people": len(json.loads(file.read_text("utf-8"))["people"])}
    with collection.lake().connect(read_only=True) as con:
        rows = con.execute(
            "SELECT citizen_number, name FROM lake.library.population"
            " WHERE death_date IS NULL AND citizen_number IS NOT NULL AND name IS NOT NULL"
            " AND citizen_number[7:10] BETWEEN '1960' AND '1990'"
            " ORDER BY citizen_number DESC LIMIT 3"
        ).fetchall()
    people = [{"name": str(n), "number": str(c), "level": "LEVEL3"} for c, n in rows]
    told = {
        "port": NATIONAL_PORT,
        "client_id": "lianyun-sample",
        "secret": secrets.token_urlsafe(32),
        "redirect_uri": f"http://{host()}:{port()}/login/national/back/",
        "people": people,
    }
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as text:
        json.dump(told, text, ensure_ascii=False)
    return {"people": len(people)}


@contextlib.contextmanager
def department_system(home: Path) -> Iterator[None]:
    """The department's system and the national stand-in, as long as the city is served.

    Each is a process of its own. The city, started inside, trusts the stand-in by its settings.
    """
    root = Path(__file__).resolve().parents[3]
    wanted = {"department_system": _told(home), "national_platform": _national(home)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"demo.{name}", str(file)],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, file in wanted.items()
        if file.exists() and (root / "demo").is_dir()
    ]
    if _national(home).exists() and (root / "demo").is_dir():
        told = json.loads(_national(home).read_text("utf-8"))
        os.environ.setdefault("LIANYUN_NATIONAL_ISSUER", f"http://127.0.0.1:{told['port']}")
        os.environ.setdefault("LIANYUN_NATIONAL_CLIENT_ID", told["client_id"])
        os.environ.setdefault("LIANYUN_NATIONAL_CLIENT_SECRET", told["secret"])
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


__all__ = ["department_system", "join_system", "know_nationals"]
