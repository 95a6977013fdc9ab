// Drawing: shows paths' BPMN in bpmn-js, what differs marked; its logo stays, as its licence asks.
"use strict";
(() => {
  const draw = async (place) => {
    const frame = place.closest("[data-drawing]") || place.parentElement;
    try {
      const viewer = new BpmnJS({ container: place });
      const answer = await fetch(place.dataset.bpmn, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      await viewer.importXML(await answer.text());
      const canvas = viewer.get("canvas"), known = viewer.get("elementRegistry");
      for (const mark of ["added", "removed", "changed"]) {
        for (const id of (place.dataset[mark] || "").split(" ")) {
          if (id && known.get(id)) canvas.addMarker(id, `flow-mark-${mark}`);
        }
      }
      const zoom = {
        in: () => canvas.zoom(Math.min(canvas.zoom() * 1.25, 3)),
        out: () => canvas.zoom(Math.max(canvas.zoom() / 1.25, 0.2)),
        fit: () => canvas.zoom("fit-viewport", "auto"),
      };
      zoom.fit();
      for (const button of frame.querySelectorAll("[data-zoom]")) {
        button.addEventListener("click", () => zoom[button.dataset.zoom]());
      }
      place.dataset.drawn = "yes";
    } catch (error) {
      place.hidden = true;
      const told = frame.querySelector("[data-told]");
      if (told) told.hidden = false;
    }
  };
  for (const place of document.querySelectorAll("[data-bpmn]")) draw(place);
})();
