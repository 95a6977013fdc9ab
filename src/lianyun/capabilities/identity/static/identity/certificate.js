// Certificates: makes a key that cannot leave this browser, and signs the page's challenge with it.
(() => {
  "use strict";

  const CURVE = { name: "ECDSA", namedCurve: "P-256" };
  const told = document.getElementById("certificate-options");
  if (!told) return;
  const options = JSON.parse(told.textContent);
  const problem = document.querySelector("[data-certificate-problem]");
  const plain = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");

  const store = () =>
    new Promise((resolve, reject) => {
      const ask = indexedDB.open("lianyun-certificates", 1);
      ask.onupgradeneeded = () => ask.result.createObjectStore("keys");
      ask.onsuccess = () => resolve(ask.result);
      ask.onerror = () => reject(ask.error);
    });
  const within = async (mode, work) => {
    const base = await store();
    return new Promise((resolve, reject) => {
      const ask = work(base.transaction("keys", mode).objectStore("keys"));
      ask.onsuccess = () => resolve(ask.result);
      ask.onerror = () => reject(ask.error);
    });
  };
  const sign = async (key, words) =>
    plain(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, new TextEncoder().encode(words)));

  async function ask(form) {
    const pair = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
    const spki = await crypto.subtle.exportKey("spki", pair.publicKey);
    const kid = hex(await crypto.subtle.digest("SHA-256", spki));
    await within("readwrite", (keys) => keys.put(pair.privateKey, kid));
    form.elements.spki.value = plain(spki);
    form.elements.signature.value = await sign(pair.privateKey, `lianyun-certificate-ask:${options.challenge}`);
  }

  async function prove(form) {
    for (const kid of options.kids) {
      const key = await within("readonly", (keys) => keys.get(kid));
      if (!key) continue;
      form.elements.kid.value = kid;
      form.elements.signature.value = await sign(key, `lianyun-certificate-prove:${options.challenge}`);
      return;
    }
    throw new Error("这个浏览器里没有有效证书的密钥，请换到申请时的设备，或在这里重新申请。");
  }

  document.querySelectorAll("form[data-certificate]").forEach((form) => {
    form.querySelector("[data-certificate-go]").addEventListener("click", async () => {
      problem.hidden = true;
      try {
        if (!window.crypto || !crypto.subtle) throw new Error("数字证书只能在安全连接（https）下使用。");
        await (form.dataset.certificate === "ask" ? ask(form) : prove(form));
        form.requestSubmit();
      } catch (wrong) {
        problem.textContent = wrong.message || "浏览器没有完成签名，请重试。";
        problem.hidden = false;
      }
    });
  });
})();
