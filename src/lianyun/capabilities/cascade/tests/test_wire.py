"""Wire: which addresses are called, what of an answer is believed, and whose certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings

from lianyun.capabilities.cascade.adapters import wire


class _Other(BaseHTTPRequestHandler):
    """Another machine: what it answers hangs on the path of the address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Host"]))  # type: ignore[attr-defined]
        if self.path.startswith("/away"):
            self.send_response(307)
            self.send_header("Location", "/inner")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        if self.path.startswith("/huge"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part = b"x" * 2**20
            try:
                while True:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            except OSError:
                return
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


@pytest.fixture
def other() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Other)
    made.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def greet(address: str) -> tuple[int, bytes]:
    return wire.plain(address, "GET", "node")


def test_nothing_inside_is_called_unless_it_is_listed(
    other: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = other.server_port
    monkeypatch.delenv(wire.HOSTS, raising=False)
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"):
        with pytest.raises(wire.WireError, match="不允许"):
            greet(f"http://{host}:{port}")
    monkeypatch.setenv(wire.HOSTS, f"127.0.0.1:{port + 1}")
    with pytest.raises(wire.WireError, match=wire.HOSTS):
        greet(f"http://127.0.0.1:{port}")
    with pytest.raises(wire.WireError, match="尚未确认"):
        greet("")
    assert not other.seen  # type: ignore[attr-defined]
    monkeypatch.setenv(wire.HOSTS, f"127.0.0.1:{port}")
    assert greet(f"http://127.0.0.1:{port}") == (200, b"ok")
    # The file of the state folder says the same without a restart.
    monkeypatch.delenv(wire.HOSTS)
    monkeypatch.setattr(settings, "HOME", tmp_path)
    (tmp_path / wire.HOSTS_FILE).write_text(f"# neighbours\n127.0.0.1:{port}  # the county\n")
    assert greet(f"http://127.0.0.1:{port}") == (200, b"ok")


def test_the_address_that_was_judged_is_the_one_that_is_called(
    other: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = socket.getaddrinfo, []

    def turning(host: str, port: int, *args: Any, **more: Any) -> Any:
        if host != "node.example":
            return real(host, port, *args, **more)
        asked.append(host)
        # The first answer is listed, a second one would lead elsewhere.
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", turning)
    monkeypatch.setenv(wire.HOSTS, "127.0.0.1/32")
    assert greet(f"http://node.example:{other.server_port}/base")[0] == 200
    assert asked == ["node.example"]
    path, host = other.seen[0]  # type: ignore[attr-defined]
    assert (path, host) == ("/base/api/cascade/v1/node", f"node.example:{other.server_port}")
    with pytest.raises(wire.WireError, match="不允许"):
        greet(f"http://node.example:{other.server_port}")


def test_redirects_and_floods_are_refused(
    other: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{other.server_port}"
    monkeypatch.setenv(wire.HOSTS, "127.0.0.1")
    with pytest.raises(wire.WireError, match="不跟随转址"):
        greet(f"{address}/away")
    assert len(other.seen) == 1  # type: ignore[attr-defined]
    with pytest.raises(wire.WireError, match="过大"):
        greet(f"{address}/huge")
    monkeypatch.setattr(wire, "PATIENCE", 0)
    with pytest.raises(wire.WireError, match="规定时间"):
        greet(address)


def authority(folder: Path, name: str) -> tuple[Path, Path]:
    """A private CA, and a certificate with its key that it gave to 127.0.0.1 (both PEM)."""
    now = dt.datetime.now(dt.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
        )

    root = (
        certificate(root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    own = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")]), key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.ca").write_bytes(root.public_bytes(pem))
    (folder / f"{name}.pem").write_bytes(own.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / f"{name}.ca", folder / f"{name}.pem"


def test_https_with_an_authority_of_our_own(
    other: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, certificate = authority(tmp_path, "ours")
    strange, _ = authority(tmp_path, "strange")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    other.socket = context.wrap_socket(other.socket, server_side=True)
    monkeypatch.setenv(wire.HOSTS, "127.0.0.1, localhost")
    monkeypatch.setenv("LIANYUN_CASCADE_CA", str(ours))
    assert greet(f"https://127.0.0.1:{other.server_port}") == (200, b"ok")
    # A good certificate for another name is none for this one.
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        ],
    )
    with pytest.raises(wire.WireError, match="证书不受信任"):
        greet(f"https://localhost:{other.server_port}")
    monkeypatch.setenv("LIANYUN_CASCADE_CA", str(strange))
    with pytest.raises(wire.WireError, match="证书不受信任"):
        greet(f"https://127.0.0.1:{other.server_port}")
    monkeypatch.setenv("LIANYUN_CASCADE_CA", str(tmp_path / "nothing.pem"))
    with pytest.raises(wire.WireError, match="读不出根证书文件"):
        greet(f"https://127.0.0.1:{other.server_port}")
