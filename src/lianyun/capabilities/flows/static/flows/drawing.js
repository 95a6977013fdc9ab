// Drawing: shows a path's BPMN in bpmn-js; its logo stays, as its licence asks.
"use strict";
(async () => {
  const place = document.querySelector("[data-bpmn]");
  if (!place) return;
  try {
    const viewer = new BpmnJS({ container: place });
    const answer = await fetch(place.dataset.bpmn, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    await viewer.importXML(await answer.text());
    const canvas = viewer.get("canvas");
    const zoom = {
      in: () => canvas.zoom(Math.min(canvas.zoom() * 1.25, 3)),
      out: () => canvas.zoom(Math.max(canvas.zoom() / 1.25, 0.2)),
      fit: () => canvas.zoom("fit-viewport", "auto"),
    };
    zoom.fit();
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => zoom[button.dataset.zoom]());
    }
    place.dataset.drawn = "yes";
  } catch (error) {
    place.hidden = true;
    const told = document.querySelector("[data-told]");
    if (told) told.hidden = false;
  }
})();
