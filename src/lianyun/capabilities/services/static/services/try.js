// Try-it: calls the data service of this page from its own origin and shows the answer.
"use strict";

const value = (form, name) => (form.elements[name]?.value ?? "").trim();
const ticked = (form, name) => [...form.querySelectorAll(`[name="${name}"]:checked`)].map((box) => box.value);

const questionOf = (form) => {
  const query = new URLSearchParams();
  if (form.dataset.kind === "statistics") {
    const by = ticked(form, "by");
    const measures = ["count", ...ticked(form, "measures")];
    if (by.length) query.set("by", by.join(","));
    query.set("measures", measures.join(","));
    for (const field of form.querySelectorAll("[data-filter]")) {
      const said = field.querySelector("input").value.trim();
      if (said) query.set(field.dataset.filter, said);
    }
    return { query };
  }
  const chosen = value(form, "way").split(",").filter(Boolean);
  if (form.dataset.kind === "verify") {
    const body = { key: {}, values: {} };
    for (const name of chosen) body.key[name] = value(form, `key_${name}`);
    for (const field of form.querySelectorAll("[data-value]")) {
      const said = field.querySelector("input").value.trim();
      if (said) body.values[field.dataset.value] = said;
    }
    return { body };
  }
  for (const name of chosen) query.set(name, value(form, `key_${name}`));
  for (const field of form.querySelectorAll("[data-range]")) {
    const said = field.querySelector("input").value.trim();
    if (said) query.set(field.dataset.range, said);
  }
  if (value(form, "limit")) query.set("limit", value(form, "limit"));
  return { query };
};

const call = async (form, cursor) => {
  const output = document.getElementById(form.dataset.try);
  const next = form.querySelector("[data-next]");
  const { query, body } = questionOf(form);
  if (query && cursor) query.set("cursor", cursor);
  const headers = { Authorization: `Bearer ${value(form, "token")}` };
  const purpose = value(form, "purpose");
  if (purpose) headers["X-Purpose"] = encodeURIComponent(purpose);
  const options = { headers, credentials: "omit", cache: "no-store" };
  if (body) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  output.textContent = "正在调用…";
  const begun = performance.now();
  try {
    const answer = await fetch(query ? `${form.action}?${query}` : form.action, options);
    const took = Math.round(performance.now() - begun);
    const found = await answer.json();
    output.textContent = `${answer.status}（${took} 毫秒）\n${JSON.stringify(found, null, 2)}`;
    output.dataset.status = String(answer.status);
    if (next) {
      next.hidden = !found.next;
      next.dataset.next = found.next ?? "";
    }
  } catch (error) {
    output.textContent = "调用失败：网络不可用";
    output.dataset.status = "0";
  }
};

const show = (form) => {
  if (!form.elements.way) return;
  const chosen = form.elements.way.value.split(",");
  for (const field of form.querySelectorAll("[data-key]")) field.hidden = !chosen.includes(field.dataset.key);
};

for (const form of document.querySelectorAll("[data-try]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    call(form, "");
  });
  form.querySelector("[data-next]")?.addEventListener("click", (event) => call(form, event.currentTarget.dataset.next));
  form.elements.way?.addEventListener("change", () => show(form));
  show(form);
}
