/* App: the little behaviour that pages need; everything works without it, only less smoothly. */
(() => {
  "use strict";
  const $ = (s, root = document) => root.querySelector(s);
  const all = (s, root = document) => [...root.querySelectorAll(s)];
  const cookie = (name, value) => { document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax`; };
  const phone = () => matchMedia("(max-width: 900px)").matches;

  /* side menu */
  const side = $("#side");
  const sync = () => {
    const open = phone() ? document.body.classList.contains("drawer") : !document.body.classList.contains("narrow");
    all("button[data-menu-toggle][aria-expanded]").forEach((b) => b.setAttribute("aria-expanded", String(open)));
  };
  const toggleMenu = () => {
    if (phone()) {
      document.body.classList.toggle("drawer");
      if (document.body.classList.contains("drawer")) $("a", side)?.focus();
    } else {
      cookie("narrow", document.body.classList.toggle("narrow") ? "1" : "0");
    }
    sync();
  };
  if (side) { sync(); side.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }); }

  /* confirm dialog: any control with data-confirm asks first */
  const ask = (text, danger) => new Promise((resolve) => {
    const box = $("#confirm");
    if (!box?.showModal) { resolve(window.confirm(text)); return; }
    $("#confirm-text").textContent = text;
    $("#confirm-yes").className = `btn ${danger ? "danger" : "primary"}`;
    box.returnValue = "no";
    box.onclose = () => resolve(box.returnValue === "yes");
    box.showModal();
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-menu-toggle],[data-close],[data-back],[data-print],[data-copy],[data-pick-all],[data-confirm]");
    all("details[data-pop][open]").forEach((d) => { if (!d.contains(event.target)) d.open = false; });
    if (!target) return;
    if (target.matches("[data-menu-toggle]")) toggleMenu();
    else if (target.matches("[data-close]")) target.closest("[data-toast]")?.remove();
    else if (target.matches("[data-back]")) history.back();
    else if (target.matches("[data-print]")) window.print();
    else if (target.matches("[data-pick-all]")) all('input[name="pick"]', target.closest("form")).forEach((box) => { box.checked = target.checked; });
    else if (target.matches("[data-copy]")) {
      navigator.clipboard?.writeText(target.dataset.copy || $(target.dataset.copyFrom)?.textContent || "").then(() => toast("已复制", "success"));
    }
    if (target.matches("[data-confirm]") && !target.dataset.agreed) {
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(target.dataset.confirm, target.matches(".danger,.red")).then((yes) => {
        if (!yes) return;
        target.dataset.agreed = "1";
        target.click();
        delete target.dataset.agreed;
      });
    }
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    all("details[data-pop][open]").forEach((d) => { d.open = false; $("summary", d)?.focus(); });
    if (document.body.classList.contains("drawer")) toggleMenu();
  });

  /* a form is sent once: its buttons rest until the answer comes */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "dialog" || form.method === "get" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => all("button[type=submit],button:not([type])", form).forEach((b) => { b.setAttribute("aria-busy", "true"); b.setAttribute("aria-disabled", "true"); }), 0);
    setTimeout(() => release(form), 15000);
  });
  const release = (form) => {
    delete form.dataset.sent;
    all("button[aria-busy]", form).forEach((b) => { b.removeAttribute("aria-busy"); b.removeAttribute("aria-disabled"); });
  };
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach(release));
  document.addEventListener("htmx:afterRequest", (event) => { const form = event.target.closest?.("form"); if (form) release(form); });

  document.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) event.target.form?.requestSubmit(); });

  /* toasts */
  const toast = (text, level = "info") => {
    const box = document.createElement("div");
    box.className = `toast ${level}`;
    box.dataset.toast = "";
    box.setAttribute("role", level === "error" ? "alert" : "status");
    box.textContent = text;
    $("#toasts")?.append(box);
    rest(box);
  };
  const rest = (box) => { if (!box.classList.contains("error")) setTimeout(() => box.remove(), 6000); };
  document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status >= 500) toast("系统繁忙，请稍后再试", "error"); });
  document.addEventListener("htmx:sendError", () => toast("网络不通，请检查后再试", "error"));

  const ready = (root) => {
    all("[data-toast]", root).forEach(rest);
    all("[data-back]", root).forEach((b) => { b.hidden = history.length < 2; });
    $("[data-focus]", root)?.focus();
  };
  ready(document);
  document.addEventListener("htmx:afterSwap", (event) => {
    const id = event.detail.requestConfig?.triggeringEvent?.target?.id;
    const again = id ? document.getElementById(id) : null;
    if (again?.matches("input[type=search]")) { again.focus(); again.setSelectionRange(again.value.length, again.value.length); }
  });
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
})();
