"use strict";
/* Checks a licence credential (SD-JWT VC, ES256) with the public keys in the page and nothing else.
   The same text serves the site's page and the file that outsiders save: no request is ever made. */
(() => {
  const LEEWAY = 60, MOST = 200, LONGEST = 64000;
  const STATES = { 0: "有效", 1: "已失效（吊销、撤销、注销或已换发）", 2: "已暂扣" };
  const RESERVED = new Set(["_sd", "...", "_sd_alg", "iss", "nbf", "exp", "iat", "vct", "status", "cnf", "sub"]);
  class Bad extends Error {}

  const text64 = (data) => btoa(Array.from(new Uint8Array(data), (b) => String.fromCharCode(b)).join(""))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const bytes = (text) => {
    if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Bad("凭证格式不正确");
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    const found = Uint8Array.from(plain, (c) => c.charCodeAt(0));
    // One text for the same bytes: whatever else would decode to them is refused.
    if (text64(found) !== text) throw new Bad("凭证格式不正确");
    return found;
  };
  const told = (text) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes(text)));
  const time = (body, name) => {
    if (body[name] === undefined) return null;
    if (typeof body[name] !== "number") throw new Bad("凭证中的时间不正确");
    return body[name];
  };

  const opened = async (token, kind, keys) => {
    const parts = token.split(".");
    if (parts.length !== 3) throw new Bad("不是签名令牌");
    const head = told(parts[0]);
    if (head.typ !== kind || head.alg !== "ES256" || "crit" in head || "b64" in head) {
      throw new Bad("类型或签名算法不在认可的范围内");
    }
    const key = keys.find((k) => k.kid === head.kid && k.kty === "EC" && k.crv === "P-256");
    if (!key) throw new Bad("签名者不在本页的公钥之中：不是本市电子证照平台签发的");
    const way = { name: "ECDSA", namedCurve: "P-256" };
    const made = await crypto.subtle.importKey(
      "jwk", { kty: key.kty, crv: key.crv, x: key.x, y: key.y }, way, false, ["verify"]);
    const signature = bytes(parts[2]);
    const data = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
    const right = signature.length === 64 &&
      await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, made, signature, data);
    if (!right) throw new Bad("签名与内容不符：凭证被改动过");
    const body = told(parts[1]);
    if (typeof body !== "object" || body === null || Array.isArray(body)) throw new Bad("不是签名令牌");
    return body;
  };

  const check = async (text, keys, now) => {
    const plain = text.trim();
    const parts = plain.split("~");
    if (plain.length > LONGEST || parts.length < 2 || parts.length > MOST || parts.at(-1) !== "") {
      throw new Bad("不是完整的凭证：请把整段文字都粘贴进来");
    }
    const body = await opened(parts[0], "dc+sd-jwt", keys);
    const hidden = Array.isArray(body._sd) ? body._sd : [];
    if ((body._sd_alg ?? "sha-256") !== "sha-256") throw new Bad("凭证的摘要算法不受支持");
    const claims = new Map();
    for (const part of parts.slice(1, -1)) {
      const digest = text64(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(part)));
      if (!hidden.includes(digest)) throw new Bad("披露的内容不是签发时的内容：凭证被改动过");
      const entry = told(part);
      if (!Array.isArray(entry) || entry.length !== 3 || typeof entry[1] !== "string") {
        throw new Bad("披露项无法读取");
      }
      if (RESERVED.has(entry[1]) || claims.has(entry[1]) || entry[1] in body) throw new Bad("披露项重复");
      claims.set(entry[1], entry[2]);
    }
    const begins = time(body, "nbf"), ends = time(body, "exp");
    if (begins !== null && now < begins - LEEWAY) throw new Bad("凭证尚未生效");
    if (ends === null || now > ends + LEEWAY) throw new Bad("凭证已过期，请持证人重新出示");
    return { body, claims };
  };

  const inflated = async (data) => {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const standing = async (body, token, keys, now) => {
    if (!token.trim()) return ["amber", "没有核对状态列表：不能排除签发后被吊销、注销"];
    const place = body.status?.status_list ?? {};
    const list = await opened(token.trim(), "statuslist+jwt", keys);
    if (list.sub !== place.uri) throw new Bad("状态列表不是这份凭证所指的那一份");
    const bits = list.status_list?.bits;
    if (![1, 2, 4, 8].includes(bits)) throw new Bad("状态列表格式不正确");
    const data = await inflated(bytes(String(list.status_list.lst)));
    const each = 8 / bits, at = Math.floor(place.idx / each);
    if (!Number.isInteger(place.idx) || place.idx < 0 || at >= data.length) throw new Bad("状态列表格式不正确");
    const value = (data[at] >> (bits * (place.idx % each))) & ((1 << bits) - 1);
    if (value) throw new Bad(`证照${STATES[value] ?? "状态不明"}`);
    const when = new Date((list.iat ?? 0) * 1000).toLocaleString("zh-CN", { hour12: false });
    if (now > (time(list, "exp") ?? 0) + LEEWAY) return ["amber", `按 ${when} 的状态列表有效；此后的变化看不到`];
    return ["green", `按 ${when} 的状态列表：有效`];
  };

  const shown = (value) => (value === true ? "是" : value === false ? "否" : String(value));
  const line = (parent, tag, text, name = "") => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    parent.append(made);
    return made;
  };

  const trust = JSON.parse(document.getElementById("offline-keys").textContent);
  const form = document.getElementById("offline-form");
  const result = document.getElementById("offline-result");
  const read = async (input) => (input.files[0] ? await input.files[0].text() : "");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.replaceChildren();
    result.hidden = false;
    try {
      if (!globalThis.crypto?.subtle) {
        throw new Bad("这个浏览器不能核验：请换新版浏览器，或把本页保存后在本机打开");
      }
      const now = Date.now() / 1000;
      const text = (await read(form.elements.file)) || form.elements.text.value;
      const found = await check(text, trust.keys, now);
      const state = await standing(found.body, await read(form.elements.list), trust.keys, now);
      line(result, "h2", "通过：签名有效，内容没有被改动");
      line(result, "p", state[1], `note ${state[0]}`);
      const facts = line(result, "dl", "", "detail");
      const kind = String(found.body.vct ?? "").split("/").at(-1);
      const titles = { ...(trust.proofs ?? {}), ...(trust.titles?.[kind] ?? {}) };
      const pairs = [["证照", found.body.licence_title], ["颁发机关", found.body.issuing_authority],
        ...[...found.claims].map(([n, v]) => [titles[n] ?? n, shown(v)])];
      for (const [title, value] of pairs) {
        const pair = line(facts, "div", "");
        line(pair, "dt", title);
        line(pair, "dd", value ?? "");
      }
    } catch (wrong) {
      result.replaceChildren();
      line(result, "h2", "不通过");
      line(result, "p", wrong instanceof Bad ? wrong.message : "凭证格式不正确", "note red");
    }
    result.focus();
  });
})();
