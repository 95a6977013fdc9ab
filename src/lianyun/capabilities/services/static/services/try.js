// Try-it: calls the data service of this page from its own origin and shows the answer.
"use strict";

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-try]");
  if (!form) return;
  event.preventDefault();
  const output = document.getElementById(form.dataset.try);
  const chosen = form.elements.way.value.split(",");
  const query = new URLSearchParams();
  for (const name of chosen) query.set(name, form.elements[`key_${name}`].value.trim());
  const headers = { Authorization: `Bearer ${form.elements.token.value.trim()}` };
  const purpose = form.elements.purpose.value.trim();
  if (purpose) headers["X-Purpose"] = encodeURIComponent(purpose);
  output.textContent = "正在调用…";
  const begun = performance.now();
  try {
    const answer = await fetch(`${form.action}?${query}`, { headers, credentials: "omit", cache: "no-store" });
    const took = Math.round(performance.now() - begun);
    const body = await answer.json();
    output.textContent = `${answer.status}（${took} 毫秒）\n${JSON.stringify(body, null, 2)}`;
    output.dataset.status = String(answer.status);
  } catch (error) {
    output.textContent = "调用失败：网络不可用";
    output.dataset.status = "0";
  }
});

const show = (form) => {
  const chosen = form.elements.way.value.split(",");
  for (const field of form.querySelectorAll("[data-key]")) field.hidden = !chosen.includes(field.dataset.key);
};
for (const form of document.querySelectorAll("[data-try]")) {
  form.elements.way.addEventListener("change", () => show(form));
  show(form);
}
