"""A department's own approval system (模拟数据): takes cases from the city over HTTP and answers in its own time.

``python -m demo.approval_system FILE`` serves it; FILE is JSON, read anew at every request:

- ``port``, ``city`` (address of the city, "" to be asked only), ``code`` and ``key`` as registered,
  ``title``, ``prefix`` of its own numbers, ``state`` (a file that outlives the process);
- how it behaves: ``slow`` seconds before an answer, ``lose`` true: what is taken is not answered,
  ``twice`` true: everything is told twice, ``disorder`` true: the newest is told first,
  ``away`` true: 503, ``auto``: ``granted``, ``refused``, ``supplement``, ``registered`` (only
  registered) or "" (an officer decides on its page), ``elements`` of the licence.

It shares no code with the city: signing and messages are written from the published interface.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import html
import json
import secrets
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

CITY = dt.timezone(dt.timedelta(hours=8))
PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px/1.7 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
li{{border-top:1px solid #ccc;padding:.6rem 0}}button{{margin:.2rem .4rem .2rem 0}}</style>
<h1>{title}</h1><p><strong>模拟数据</strong>　部门自己的审批系统，与平台只通过接口往来。</p>{body}</html>"""
ACTS = {
    "progress": "报送进展",
    "supplement": "要求补正",
    "suspended": "中止（专家评审）",
    "resumed": "恢复",
    "granted": "准予",
    "refused": "不予",
}
TABLES = """
CREATE TABLE IF NOT EXISTS cases (number TEXT PRIMARY KEY, own TEXT, body TEXT, ended TEXT DEFAULT '');
CREATE TABLE IF NOT EXISTS letters (number TEXT PRIMARY KEY, digest TEXT, times INTEGER DEFAULT 1);
CREATE TABLE IF NOT EXISTS messages (number TEXT PRIMARY KEY, of TEXT, body TEXT, told TEXT DEFAULT '');
"""


def sign(key: str, moment: int, number: str, what: bytes) -> str:
    """The signature of the interface: HMAC-SHA-256 over `moment.number.what`."""
    value = hmac.new(key.encode(), f"{moment}.{number}.".encode() + what, hashlib.sha256)
    return f"t={moment},v1={value.hexdigest()}"


class Approval(ThreadingHTTPServer):
    """The application: what it was told, and what it has to say."""

    daemon_threads = True

    def __init__(self, file: Path) -> None:
        self.file = file
        told = self.told
        super().__init__(("127.0.0.1", int(told["port"])), Handler)
        self.hold = threading.Lock()
        self.rows = sqlite3.connect(told["state"], check_same_thread=False, isolation_level=None)
        self.rows.executescript(TABLES)

    @property
    def told(self) -> dict[str, Any]:
        """How it is to behave now."""
        return dict(json.loads(self.file.read_text("utf-8")))

    def ask(self, statement: str, *values: Any) -> list[Any]:
        """One statement on its own store."""
        with self.hold:
            return self.rows.execute(statement, values).fetchall()

    def genuine(self, header: str, number: str, what: bytes) -> bool:
        """Whether the city has signed this, within five minutes."""
        moment = header.removeprefix("t=").partition(",")[0]
        if not moment.isdigit() or abs(time.time() - int(moment)) > 300:
            return False
        return hmac.compare_digest(sign(self.told["key"], int(moment), number, what), header)

    def take(self, letter: dict[str, Any], digest: str) -> tuple[int, dict[str, Any]]:
        """A letter of the city: once, however often it comes."""
        number, case = str(letter["number"]), str(letter["case"])
        if known := self.ask("SELECT digest FROM letters WHERE number = ?", number):
            self.ask("UPDATE letters SET times = times + 1 WHERE number = ?", number)
            if known[0][0] != digest:
                return 409, {"error": "number_reused", "message": "消息号已用于内容不同的消息"}
        else:
            if letter["kind"] == "case.handed":
                count = self.ask("SELECT count(*) FROM cases")[0][0] + 1
                own = f"{self.told['prefix']}{dt.datetime.now(CITY):%Y%m%d}{count:04d}"
                self.ask(
                    "INSERT OR IGNORE INTO cases (number, own, body) VALUES (?, ?, ?)",
                    case, own, json.dumps(letter, ensure_ascii=False),
                )  # fmt: skip
            if letter["kind"] == "case.closed":
                self.ask("UPDATE cases SET ended = 'closed' WHERE number = ?", case)
            self.ask("INSERT INTO letters (number, digest) VALUES (?, ?)", number, digest)
            self.go_on(letter)
        found = self.ask("SELECT own FROM cases WHERE number = ?", case)
        return (200, {"number": number, "own_number": found[0][0]}) if found else (404, {})

    def go_on(self, letter: dict[str, Any]) -> None:
        """What its officers do with a letter when they are told to decide by themselves."""
        auto, case = self.told.get("auto", ""), str(letter["case"])
        if letter["kind"] == "case.closed" or not auto:
            return
        if letter["kind"] == "case.handed":
            self.say(case, "progress", title="已登记", note="已分送经办科室")
            if auto == "supplement":
                self.say(
                    case, "supplement",
                    items=[{"material": "", "name": "收款账户", "what": "请核对开户行名称"}],
                )  # fmt: skip
                return
            if auto == "registered":
                return
        self.say(case, "progress", title="审核通过" if auto != "refused" else "审核未通过")
        self.decide(case, "refused" if auto == "refused" else "granted")

    def decide(self, case: str, outcome: str) -> None:
        """A result."""
        reason = "" if outcome == "granted" else "账户有未结清的贷款，不符合提取条件"
        licence = {"elements": self.told.get("elements") or {}}
        self.say(
            case, "result", outcome=outcome, reason=reason, decided_by=self.told["title"],
            **({"licence": licence} if outcome == "granted" else {}),
        )  # fmt: skip
        self.ask("UPDATE cases SET ended = ? WHERE number = ?", outcome, case)

    def say(self, case: str, kind: str, **told: Any) -> None:
        """Write a message down; it is told, or asked for, later."""
        number = f"{self.told['prefix']}-{secrets.token_hex(6)}"
        own = self.ask("SELECT own FROM cases WHERE number = ?", case)
        at = dt.datetime.now(CITY).isoformat()
        body = {"number": number, "kind": kind, "case": case, "at": at, "own_number": own[0][0]}
        self.ask(
            "INSERT INTO messages (number, of, body) VALUES (?, ?, ?)",
            number, case, json.dumps({**body, **told}, ensure_ascii=False),
        )  # fmt: skip

    def tell(self) -> None:
        """Bring the city what it has not been told: in order or not, once or twice."""
        told = self.told
        if not told.get("city"):
            return
        rows = self.ask("SELECT number, body FROM messages WHERE told = '' ORDER BY rowid")
        for number, body in reversed(rows) if told.get("disorder") else rows:
            for _ in range(2 if told.get("twice") else 1):
                headers = {
                    "Content-Type": "application/json",
                    "X-Lianyun-System": told["code"],
                    "Idempotency-Key": number,
                    "X-Lianyun-Signature": sign(
                        told["key"], int(time.time()), number, body.encode()
                    ),
                }
                place = f"{told['city']}/api/relay/v1/messages"
                try:
                    answer = httpx.post(
                        place, content=body.encode(), headers=headers, trust_env=False, timeout=10
                    )
                except httpx.HTTPError:
                    continue
                self.ask("UPDATE messages SET told = ? WHERE number = ?", answer.text, number)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Approval

    def log_message(self, *_: Any) -> None:
        """Nothing is logged: letters hold personal data."""

    def _send(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, told: dict[str, Any]) -> None:
        self._send(status, json.dumps(told, ensure_ascii=False).encode())

    def _signed(self, what: bytes) -> bool:
        number = self.headers.get("Idempotency-Key", "")
        good = self.server.genuine(self.headers.get("X-Lianyun-Signature", ""), number, what)
        if not good:
            self._json(401, {"error": "bad_signature", "message": "签名无效"})
        return good

    def do_POST(self) -> None:
        """A letter of the city, or a button of the page."""
        size = min(int(self.headers.get("Content-Length", "0")), 4_000_000)
        body, told = self.rfile.read(size), self.server.told
        if self.path == "/act":
            return self._act({k: v[0] for k, v in parse_qs(body.decode()).items()})
        if self.path != "/relay/messages" or not self._signed(body):
            return None if self.path == "/relay/messages" else self._json(404, {})
        if told.get("away"):
            return self._json(503, {"message": "系统维护"})
        letter = json.loads(body)
        if letter["kind"] == "test":
            return self._json(200, {})
        status, answer = self.server.take(letter, hashlib.sha256(body).hexdigest())
        time.sleep(float(told.get("slow") or 0))
        if told.get("lose"):
            self.close_connection = True
            return None
        self._json(status, answer)
        threading.Thread(target=self.server.tell, daemon=True).start()
        return None

    def _act(self, form: dict[str, str]) -> None:
        case, do = form["case"], form["do"]
        match do:
            case "granted" | "refused":
                self.server.decide(case, do)
            case "supplement":
                what = {"material": "", "name": "收款账户", "what": "请核对开户行名称"}
                self.server.say(case, do, items=[what])
            case "suspended":
                self.server.say(case, do, cause="experts", reason="需要专家评审，约五个工作日")
            case "resumed":
                self.server.say(case, do)
            case _:
                self.server.say(case, "progress", title="经办科室审核中")
        self.server.tell()
        self._send(303, b"", "text/html", Location="/")

    def do_GET(self) -> None:
        """The page, or the city asking what was said of a case."""
        path = urlsplit(self.path).path
        if path.startswith("/relay/cases/"):
            if not self._signed(f"GET {path}".encode()):
                return
            if self.server.told.get("away"):
                return self._json(503, {"message": "系统维护"})
            number = path.rpartition("/")[2]
            found = self.server.ask("SELECT own FROM cases WHERE number = ?", number)
            if not found:
                return self._json(404, {"error": "unknown_case", "message": "没有收到过这个办件"})
            said = self.server.ask("SELECT body FROM messages WHERE of = ? ORDER BY rowid", number)
            told = [json.loads(body) for (body,) in said]
            return self._json(200, {"own_number": found[0][0], "messages": told})
        rows = self.server.ask("SELECT number, own, body, ended FROM cases ORDER BY own DESC")
        lines = "".join(_line(*row) for row in rows) or "<p>还没有办件。</p>"
        page = PAGE.format(title=html.escape(self.server.told["title"]), body=f"<ul>{lines}</ul>")
        return self._send(200, page.encode(), "text/html")


def _line(number: str, own: str, body: str, ended: str) -> str:
    """One case of the page."""
    told = json.loads(body)
    answers = "，".join(f"{a['title']} {a['value']}" for a in (told.get("answers") or {}).values())
    words = {"": "在办", "granted": "准予", "refused": "不予", "closed": "平台已收回"}[ended]
    buttons = "".join(
        f'<button name="do" value="{do}">{title}</button>' for do, title in ACTS.items()
    )
    form = f'<form method="post" action="/act"><input type="hidden" name="case" value="{html.escape(number)}">{buttons}</form>'
    item = html.escape(str((told.get("item") or {}).get("name", "")))
    return (
        f"<li><b>{html.escape(own)}</b> {item}（{words}）<br>{html.escape(answers)}"
        f"{'' if ended else form}</li>"
    )


def serve(file: Path) -> Approval:
    """Serve the application in a thread; returns it."""
    system = Approval(file)
    threading.Thread(target=system.serve_forever, daemon=True).start()
    return system


if __name__ == "__main__":
    made = Approval(Path(sys.argv[1]))
    print(f"{made.told['title']}（模拟数据）：http://127.0.0.1:{made.server_port}", flush=True)
    made.serve_forever()
