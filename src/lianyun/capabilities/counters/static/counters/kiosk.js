/* Kiosk: a finger's keypad, and the visit's end when nobody touches the terminal any more. */
(() => {
  "use strict";
  const main = document.querySelector(".k-main");
  if (!main) return;

  /* keypad: an addition to the keyboard, never instead of it */
  document.querySelectorAll("input[data-keypad]").forEach((input) => {
    const pad = document.createElement("div");
    pad.className = "k-pad";
    pad.setAttribute("role", "group");
    pad.setAttribute("aria-label", "屏幕键盘");
    const key = (text, label, press) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      if (label) button.setAttribute("aria-label", label);
      button.addEventListener("click", press);
      pad.append(button);
    };
    [...input.dataset.keypad].forEach((c) => key(c, "", () => { if (input.value.length < input.maxLength) input.value += c; }));
    key("⌫", "删除一个字", () => { input.value = input.value.slice(0, -1); });
    input.after(pad);
  });

  /* rest: warn a quarter before, then end the visit on the server and start anew */
  const rest = Number(main.dataset.rest) * 1000;
  const end = document.getElementById("end");
  if (!rest || !end) return;
  const warn = Math.min(15000, rest / 4);
  const box = document.getElementById("idle");
  let last = Date.now();
  const wake = () => { last = Date.now(); if (box.open) box.close(); };
  ["pointerdown", "keydown", "input", "touchstart"].forEach((kind) => document.addEventListener(kind, wake, { passive: true }));
  document.getElementById("idle-stay").addEventListener("click", wake);
  box.addEventListener("cancel", wake);
  const timer = setInterval(() => {
    const left = rest - (Date.now() - last);
    if (left <= 0) { clearInterval(timer); document.querySelectorAll("input:not([type=hidden])").forEach((i) => { i.value = ""; }); end.submit(); return; }
    if (left <= warn) {
      document.getElementById("idle-left").textContent = String(Math.ceil(left / 1000));
      if (!box.open) box.showModal();
    }
  }, 500);
})();
