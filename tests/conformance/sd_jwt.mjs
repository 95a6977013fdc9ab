// A credential judged by @sd-jwt/sd-jwt-vc: signature, disclosures, dates and status, as its makers wrote it.
import { createHash, createPublicKey, verify } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.JUDGES}/`);
const { SDJwtVcInstance } = require("@sd-jwt/sd-jwt-vc");

const told = JSON.parse(readFileSync(0, "utf8"));
const key = createPublicKey({ key: told.key, format: "jwk" });
const verifier = (data, signature) =>
  verify("sha256", Buffer.from(data), { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
const judge = new SDJwtVcInstance({
  hasher: (data, algorithm) =>
    new Uint8Array(createHash(algorithm.replace("-", "")).update(typeof data === "string" ? data : Buffer.from(data)).digest()),
  hashAlg: "sha-256",
  verifier,
  statusVerifier: verifier,
  statusListFetcher: async () => told.status,
});
try {
  const found = await judge.verify(told.credential, { currentDate: told.now });
  console.log(JSON.stringify({ ok: true, payload: found.payload }));
} catch (error) {
  console.log(JSON.stringify({ ok: false, why: String(error.message ?? error) }));
}
