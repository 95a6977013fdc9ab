"""Digests, keys, signatures and time stamps, by the standards' own values and by openssl both ways."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from lianyun.trust import certificates, der, digests, signatures, timestamps
from lianyun.trust.signatures import ECDSA, SM2

ID = "distid:1234567812345678"
# GB/T 32905-2016, annex A (and the digest of nothing, as every implementation gives it).
SM3_EXAMPLES = {
    b"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    b"abcd" * 16: "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
    b"": "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
}
# FIPS 180-4's examples.
SHA256_EXAMPLES = {
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
}
# GB/T 32918.5-2017, A.2: the curve sm2p256v1, user 1234567812345678, "message digest".
SM2_D = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
SM2_P = (
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SM2_R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
SM2_S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA


def openssl(*arguments: str, given: bytes = b"") -> tuple[int, bytes]:
    """Exit code and standard output of the openssl command."""
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("name", "examples"), [("sm3", SM3_EXAMPLES), ("sha256", SHA256_EXAMPLES)])
def test_digests(name: str, examples: dict[bytes, str]) -> None:
    for data, expected in examples.items():
        assert digests.hexdigest(name, data) == expected
    data = bytes(range(256)) * 9
    _, said = openssl("dgst", f"-{name}", "-r", given=data)
    assert digests.hexdigest(name, data) == said.split()[0].decode()
    with pytest.raises(digests.UnknownDigest):
        digests.digest("md5", b"")


def test_sm3_without_the_interpreters_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SM3_AT_HAND", False)
    assert digests.hexdigest("sm3", b"abc") == SM3_EXAMPLES[b"abc"]


def test_the_standards_sm2_signature() -> None:
    public = signatures.PublicKey(SM2, bytes.fromhex(SM2_P))
    signature = der.sequence(der.integer(SM2_R), der.integer(SM2_S))
    assert public.verify(b"message digest", signature)
    assert not public.verify(b"message Digest", signature)
    private = signatures.PrivateKey(public, bytes.fromhex(SM2_D))
    assert public.verify(b"message digest", private.sign(b"message digest"))


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_openssl_verifies_ours(algorithm: str, tmp_path: Path) -> None:
    key = signatures.new_key(algorithm)
    (tmp_path / "public.pem").write_text(key.public.pem)
    (tmp_path / "signature").write_bytes(key.sign("数据".encode()))
    extra = ["-sigopt", ID] if algorithm == SM2 else []
    name = "-sm3" if algorithm == SM2 else "-sha256"
    verify = ["dgst", name, *extra, "-verify", str(tmp_path / "public.pem")]
    verify += ["-signature", str(tmp_path / "signature")]
    assert openssl(*verify, given="数据".encode())[0] == 0
    assert openssl(*verify, given="数拒".encode())[0] != 0


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_ours_verifies_openssls(algorithm: str, tmp_path: Path) -> None:
    curve = "SM2" if algorithm == SM2 else "P-256"
    made = tmp_path / "key.pem"
    openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", str(made)
    )
    key = signatures.private_key(made.read_text())
    assert key.algorithm == algorithm
    assert key.pem == made.read_text()
    assert openssl("pkey", "-in", str(made), "-pubout")[1].decode() == key.public.pem
    extra = ["-sigopt", ID] if algorithm == SM2 else []
    name = "-sm3" if algorithm == SM2 else "-sha256"
    _, signature = openssl("dgst", name, *extra, "-sign", str(made), given=b"data")
    assert key.public.verify(b"data", signature)
    assert not key.public.verify(b"date", signature)
    # And by the other command of openssl.
    message = tmp_path / "message"
    message.write_bytes(b"data")
    options = ["-pkeyopt", ID] if algorithm == SM2 else []
    _, signature = openssl(
        "pkeyutl", "-sign", "-inkey", str(made), "-rawin", "-digest", name[1:], *options,
        "-in", str(message),
    )  # fmt: skip
    assert key.public.verify(b"data", signature)


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_every_flipped_bit_of_a_signature_is_seen(algorithm: str) -> None:
    key = signatures.new_key(algorithm)
    signature = key.sign(b"data")
    raw = signatures.to_raw(signature)
    assert key.public.verify_raw(b"data", raw)
    for at in range(len(signature)):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not key.public.verify(b"data", bytes(changed))
    assert not key.public.verify(b"data", signature + b"\0")
    assert not key.public.verify(b"data", b"")
    assert not key.public.verify_raw(b"data", bytes(64))
    assert not key.public.verify_raw(b"data", raw[:-1])


def test_keys_that_are_none() -> None:
    key = signatures.new_key(ECDSA)
    spki = key.public.spki
    off_curve = spki[:-1] + bytes((spki[-1] ^ 1,))
    for wrong in ("", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", key.pem):
        with pytest.raises(signatures.BadKey):
            signatures.public_key(wrong)
    with pytest.raises(signatures.BadKey, match="曲线"):
        signatures.from_spki(off_curve)
    with pytest.raises(signatures.BadKey):
        signatures.private_key(key.public.pem)
    other = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ED25519"], capture_output=True, text=True
    ).stdout
    with pytest.raises(signatures.BadKey, match="P-256"):
        signatures.private_key(other)


# ---- certificates and time stamps ------------------------------------------------------------


@pytest.fixture(scope="module")
def house() -> tuple[signatures.PrivateKey, str]:
    return certificates.new_root("连云港市大数据局")


@pytest.fixture(scope="module")
def authority(house: tuple[signatures.PrivateKey, str]) -> timestamps.Authority:
    key = signatures.new_key(ECDSA)
    pem = certificates.certify(house[0], house[1], key.public, "时间戳", stamping=True)
    return timestamps.Authority(key, pem, house[1])


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_openssl_accepts_the_chain(
    algorithm: str, house: tuple[signatures.PrivateKey, str], tmp_path: Path
) -> None:
    key = signatures.new_key(algorithm)
    pem = certificates.certify(*house, key.public, "签名")
    (tmp_path / "root.pem").write_text(house[1])
    (tmp_path / "leaf.pem").write_text(pem)
    code, said = openssl(
        "verify", "-CAfile", str(tmp_path / "root.pem"), str(tmp_path / "leaf.pem")
    )
    assert code == 0, said
    assert signatures.public_key(pem) == key.public
    assert openssl("x509", "-in", str(tmp_path / "leaf.pem"), "-pubkey", "-noout")[1].decode() == (
        key.public.pem
    )
    now = dt.datetime.now(dt.UTC)
    leaf, roots = certificates.load_all(pem)[0], certificates.load_all(house[1])
    certificates.check_chain(leaf, [], roots, now)
    with pytest.raises(certificates.BadChain, match="有效期"):
        certificates.check_chain(leaf, [], roots, now + dt.timedelta(days=365 * 6))
    other = certificates.new_root("别的机构")[1]
    with pytest.raises(certificates.BadChain, match="受信任"):
        certificates.check_chain(leaf, [], certificates.load_all(other), now)
    # A certificate that may not certify vouches for nobody.
    forged = (
        certificates.certify(key, pem, signatures.new_key(ECDSA).public, "伪造")
        if (algorithm == ECDSA)
        else pem
    )
    if forged != pem:
        with pytest.raises(certificates.BadChain):
            certificates.check_chain(certificates.load_all(forged)[0], [leaf], roots, now)


def test_openssl_verifies_our_token(authority: timestamps.Authority, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes("一批调用记录".encode())
    token = authority.stamp(hashlib.sha256(data.read_bytes()).digest())
    (tmp_path / "token").write_bytes(token)
    pem = authority.root.public_bytes(timestamps.serialization.Encoding.PEM)
    (tmp_path / "root.pem").write_bytes(pem)
    verify = ["ts", "-verify", "-in", str(tmp_path / "token"), "-token_in"]
    verify += ["-CAfile", str(tmp_path / "root.pem"), "-data", str(data)]
    code, said = openssl(*verify)
    assert code == 0, said
    _, shown = openssl("ts", "-reply", "-in", str(tmp_path / "token"), "-token_in", "-text")
    assert timestamps.POLICY.encode() in shown
    data.write_bytes(b"something else")
    assert openssl(*verify)[0] != 0


def test_our_authority_answers_openssls_query(
    authority: timestamps.Authority, tmp_path: Path
) -> None:
    data, asked, reply = tmp_path / "data", tmp_path / "asked", tmp_path / "reply"
    data.write_bytes(b"data")
    openssl("ts", "-query", "-data", str(data), "-sha256", "-cert", "-out", str(asked))
    reply.write_bytes(authority.answer(asked.read_bytes()))
    pem = authority.root.public_bytes(timestamps.serialization.Encoding.PEM)
    (tmp_path / "root.pem").write_bytes(pem)
    code, said = openssl(
        "ts", "-verify", "-in", str(reply), "-queryfile", str(asked),
        "-CAfile", str(tmp_path / "root.pem"),
    )  # fmt: skip
    assert code == 0, said
    assert authority.answer(b"nonsense") == der.sequence(der.sequence(der.integer(2)))


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_ours_verifies_openssls_token(kind: str, tmp_path: Path) -> None:
    """An authority run by openssl: a root, a stamping certificate, EC or RSA, and `ts -reply`."""

    def run(*arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    new = (
        ["-newkey", "rsa:2048"]
        if kind == "rsa"
        else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]
    )
    (tmp_path / "x.cnf").write_text(
        "[req]\ndistinguished_name=dn\n[dn]\n[tsa]\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=critical,timeStamping\n[ts]\ndefault_tsa=t\n[t]\nserial=serial\n"
        "default_policy=1.2.3.4.1\ndigests=sha256\nsigner_digest=sha256\naccuracy=secs:1\n"
        "ess_cert_id_alg=sha256\n[tsold]\n"
    )
    (tmp_path / "serial").write_text("01\n")
    run("req", "-x509", "-new", "-nodes", *new, "-keyout", "root.key", "-out", "root.pem",
        "-subj", "/CN=Outside root", "-days", "30")  # fmt: skip
    run("req", "-new", "-nodes", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj",
        "/CN=Outside TSA", "-config", "x.cnf")  # fmt: skip
    run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
        "-out", "tsa.pem", "-days", "20", "-extfile", "x.cnf", "-extensions", "tsa")  # fmt: skip
    (tmp_path / "data").write_bytes(b"data")
    run("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "asked")
    run("ts", "-reply", "-config", "x.cnf", "-section", "t", "-queryfile", "asked", "-signer",
        "tsa.pem", "-inkey", "tsa.key", "-token_out", "-out", "token")  # fmt: skip
    token = (tmp_path / "token").read_bytes()
    roots = certificates.load_all((tmp_path / "root.pem").read_text())
    stamp = timestamps.verify(token, hashlib.sha256(b"data").digest(), roots)
    assert stamp.policy == "1.2.3.4.1"
    assert "Outside TSA" in stamp.authority
    assert abs(stamp.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    with pytest.raises(timestamps.BadToken, match="不是这份内容"):
        timestamps.verify(token, hashlib.sha256(b"date").digest(), roots)
    others = certificates.load_all(certificates.new_root("别人")[1])
    with pytest.raises(timestamps.BadToken, match="不可信"):
        timestamps.verify(token, hashlib.sha256(b"data").digest(), others)


def test_every_flipped_byte_of_a_token_is_seen(authority: timestamps.Authority) -> None:
    """Also those outside the signature: what is not checked must not be there."""
    digest = hashlib.sha256(b"data").digest()
    token = authority.stamp(digest)
    roots = [authority.root]
    timestamps.verify(token, digest, roots)
    unseen = []
    for at in range(len(token)):
        changed = bytearray(token)
        changed[at] ^= 0x01
        try:
            timestamps.verify(bytes(changed), digest, roots)
        except timestamps.BadToken:
            continue
        unseen.append(at)
    assert not unseen, [(at, token[at - 3 : at + 3].hex()) for at in unseen]


def test_only_a_stamping_certificate_stamps(house: tuple[signatures.PrivateKey, str]) -> None:
    key = signatures.new_key(ECDSA)
    pem = certificates.certify(*house, key.public, "签名")
    token = timestamps.Authority(key, pem, house[1]).stamp(bytes(32))
    roots = [x509.load_pem_x509_certificate(house[1].encode())]
    with pytest.raises(timestamps.BadToken):
        timestamps.verify(token, bytes(32), roots)


@pytest.fixture
def outside(authority: timestamps.Authority) -> Iterator[HTTPServer]:
    """A time-stamping authority behind HTTP on loopback; `server.mode` makes it misbehave."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            mode = self.server.mode
            if mode == "old":
                answer = der.sequence(der.sequence(der.integer(0)), authority.stamp(bytes(32), 7))
            else:
                answer = authority.answer(asked) if mode == "good" else b"<html>"
            self.send_response(500 if mode == "down" else 200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.mode = "good"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_outside_authority(outside: HTTPServer, authority: timestamps.Authority) -> None:
    url = f"http://127.0.0.1:{outside.server_address[1]}/"
    digest = hashlib.sha256(b"data").digest()
    token = timestamps.fetch(url, digest, 5)
    assert timestamps.verify(token, digest, [authority.root]).policy == timestamps.POLICY
    for mode in ("down", "nonsense", "old"):
        outside.mode = mode
        with pytest.raises(timestamps.BadToken):
            timestamps.fetch(url, digest, 5)


def test_nobody_there() -> None:
    with pytest.raises(timestamps.BadToken, match="无法连接"):
        timestamps.fetch("http://127.0.0.1:9/", bytes(32), 2)
