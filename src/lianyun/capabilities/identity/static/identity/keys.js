// Security keys: asks the browser for a key and puts its answer into the form.
(() => {
  "use strict";

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (c) => c.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");

  const known = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  async function make(options) {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: known(options.excludeCredentials),
      },
    });
    return {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
      },
      clientExtensionResults: {},
    };
  }

  async function ask(options) {
    const used = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: known(options.allowCredentials),
      },
    });
    return {
      id: used.id,
      rawId: text(used.rawId),
      type: used.type,
      response: {
        clientDataJSON: text(used.response.clientDataJSON),
        authenticatorData: text(used.response.authenticatorData),
        signature: text(used.response.signature),
        userHandle: used.response.userHandle ? text(used.response.userHandle) : null,
      },
      clientExtensionResults: {},
    };
  }

  const form = document.querySelector("form[data-key]");
  if (!form) return;
  const options = JSON.parse(document.getElementById("key-options").textContent).publicKey;
  const button = form.querySelector("[data-key-go]");
  const problem = form.querySelector("[data-key-problem]");
  const tell = (words) => {
    problem.textContent = words;
    problem.hidden = false;
  };
  if (!window.isSecureContext || !window.PublicKeyCredential) {
    button.disabled = true;
    tell("这个浏览器或网址不能使用安全密钥：请用 https 的域名打开，或改用动态口令。");
    return;
  }
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const answer = form.dataset.key === "make" ? await make(options) : await ask(options);
      form.elements.answer.value = JSON.stringify(answer);
      form.submit();
    } catch (wrong) {
      button.disabled = false;
      tell(
        wrong.name === "InvalidStateError"
          ? "这个安全密钥已经登记过。"
          : "没有完成：请插入或靠近安全密钥，再试一次。",
      );
    }
  });
})();
