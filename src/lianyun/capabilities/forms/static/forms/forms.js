/* Forms: a pen for signatures, files sent when chosen, what is typed kept on leaving; all of it is
   possible without this script, only less smoothly. */
(() => {
  "use strict";

  const pad = (box) => {
    if (box.dataset.ready) return;
    box.dataset.ready = "1";
    box.hidden = false;
    const canvas = box.querySelector("canvas");
    const ink = box.querySelector("[data-ink]");
    const pen = canvas.getContext("2d");
    let last = null;
    const at = (event) => {
      const r = canvas.getBoundingClientRect();
      return [((event.clientX - r.left) * canvas.width) / r.width, ((event.clientY - r.top) * canvas.height) / r.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const now = at(event);
      pen.lineWidth = 4;
      pen.lineCap = "round";
      pen.strokeStyle = "#10233c";
      pen.beginPath();
      pen.moveTo(...last);
      pen.lineTo(...now);
      pen.stroke();
      last = now;
      box.dataset.inked = "1";
    });
    const up = () => {
      last = null;
      if (box.dataset.inked) ink.value = canvas.toDataURL("image/png");
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    box.querySelector("[data-wipe]").addEventListener("click", () => {
      pen.clearRect(0, 0, canvas.width, canvas.height);
      delete box.dataset.inked;
      ink.value = "";
    });
  };

  /* What is typed while the answer is on its way stays: the part is drawn anew, not the words in it. */
  let typed = null;
  const inputs = (form) => [...form.elements].filter((e) => e.name && !["hidden", "file", "submit", "button"].includes(e.type));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const form = document.querySelector("form[data-part]");
    const told = event.detail.requestConfig?.parameters;
    const does = String(told?.get ? told.get("do") : told?.do);
    typed = form && (does === "refresh" || does === "add")
      ? inputs(form).map((e) => [e.name, e.type, e.value, e.checked]) : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const form = document.querySelector("form[data-part]");
    if (!form || !typed) return;
    const now = inputs(form);
    for (const [name, type, value, checked] of typed) {
      const box = type === "radio" || type === "checkbox";
      const found = now.find((e) => e.name === name && e.type === type && (!box || e.value === value));
      if (!found) continue;
      if (box) found.checked = checked;
      else if (found.value !== value) found.value = value;
    }
    typed = null;
  });

  let changed = false;
  let leaving = false;
  const ready = (root) => root.querySelectorAll("[data-pad]").forEach(pad);
  ready(document);
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
  document.addEventListener("input", (event) => { if (event.target.closest("form[data-part]")) changed = true; });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.matches("[data-upload]") || !input.files.length) return;
    const button = input.parentElement.querySelector("[data-upload-now]");
    input.form.requestSubmit(button);
  });
  document.addEventListener("submit", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });

  /* Whoever leaves a part without saving it finds it again as it was. */
  window.addEventListener("pagehide", () => {
    const form = document.querySelector("form[data-part]");
    if (!form || !changed || leaving) return;
    const told = new FormData(form);
    for (const [name, value] of [...told]) if (value instanceof File || name.endsWith("-ink")) told.delete(name);
    told.set("do", "keep");
    navigator.sendBeacon(form.action, told);
    changed = false;
  });
})();
