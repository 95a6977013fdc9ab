// Builder: shows the parts of the form that belong to the chosen kind of service.
"use strict";

for (const form of document.querySelectorAll("[data-design]")) {
  const show = () => {
    const kind = form.querySelector("[name=kind]:checked")?.value;
    for (const part of form.querySelectorAll("[data-kinds]")) {
      const kinds = part.dataset.kinds;
      part.hidden = kinds !== "" && !kinds.split(" ").includes(kind);
    }
  };
  form.addEventListener("change", show);
  show();
}
