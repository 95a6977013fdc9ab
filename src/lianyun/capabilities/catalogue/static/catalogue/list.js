/* List: on a narrow screen the filters begin folded, so that the results come first. */
(() => {
  "use strict";
  const fold = () => { if (matchMedia("(max-width: 999px)").matches) document.querySelectorAll("details.facets").forEach((d) => { d.open = false; }); };
  fold();
  document.addEventListener("htmx:afterSettle", fold);
})();
