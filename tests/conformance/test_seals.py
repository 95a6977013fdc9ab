"""SM2 and SM3 judged by sm-crypto, unchanged; and the sample city's seals, made through the same doors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess

import pytest
from django.utils import timezone

from lianyun.capabilities.seals import api
from lianyun.capabilities.seals.models import Seal
from lianyun.capabilities.seals.tests.conftest import blank_pdf
from lianyun.kernel import install
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.packs import declarations
from lianyun.kernel.party import department
from lianyun.project import frontend, sample_seals
from lianyun.trust import digests, signatures
from lianyun.trust.sealing import sign_pdf
from lianyun.trust.signatures import SM2

_NODE = """
const {sm2, sm3} = require('sm-crypto');
const told = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const pair = sm2.generateKeyPairHex();
const options = {hash: true, der: true};
process.stdout.write(JSON.stringify({
  ours: sm2.doVerifySignature(told.text, told.signature, told.point, options),
  changed: sm2.doVerifySignature(told.text + '!', told.signature, told.point, options),
  digest: sm3(told.text),
  point: pair.publicKey,
  signature: sm2.doSignature(told.text, pair.privateKey, options),
}));
"""


def test_sm_crypto_and_ours_verify_each_other() -> None:
    """sm-crypto (JavaScript, by others) as the second witness beside openssl, both ways."""
    key = signatures.new_key(SM2)
    text = "政务数据"
    told = {
        "text": text,
        "signature": key.sign(text.encode()).hex(),
        "point": "04" + key.public.point.hex(),
    }
    done = subprocess.run(
        [frontend.node(), "-e", _NODE],
        input=json.dumps(told),
        env={**os.environ, "NODE_PATH": str(frontend.folder() / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["ours"], said["changed"]) == (True, False)
    assert said["digest"] == digests.hexdigest("sm3", text.encode())
    theirs = signatures.PublicKey(SM2, bytes.fromhex(said["point"])[1:])
    assert theirs.verify(text.encode(), bytes.fromhex(said["signature"]))
    assert not theirs.verify(b"other", bytes.fromhex(said["signature"]))


@pytest.mark.django_db
def test_every_issuer_of_the_sample_city_has_its_seal() -> None:
    install.install(by=SYSTEM)
    told = sample_seals.make_seals(lambda name: pytest.fail(f"no account {name} here"))
    issuers = {str(d.data["issuer"]) for d in declarations("licences")}
    assert told["seals"] == Seal.objects.filter(grant__state="active").count() == len(issuers) > 0
    # A demo that is built on goes on where it stopped.
    sample_seals.make_seals(lambda name: None)
    assert Seal.objects.count() == len(issuers)
    pdf = blank_pdf()
    signer = api.signer_for(
        department(sorted(issuers)[0]),
        "licences.issue",
        document_digest=hashlib.sha256(pdf).hexdigest(),
        by=SYSTEM,
    )
    made = sign_pdf(pdf, signer=signer, reason="签发", when=timezone.now(), visible=signer.image)
    assert api.check(made).good
