/* Maps: lets MapLibre take over a county map that is marked live; the drawn SVG stays the fallback. */
import * as maplibregl from "../vendor/maplibre/maplibre-gl.mjs";

maplibregl.setWorkerUrl(new URL("../vendor/maplibre/maplibre-gl-worker.mjs", import.meta.url).href);

{
  const start = (root) => {
    root.querySelectorAll("[data-map]").forEach((box) => {
      if (box.dataset.drawn) return;
      const data = JSON.parse(document.getElementById(box.dataset.map).textContent);
      if (!data.features.length) return;
      box.dataset.drawn = "1";
      const bounds = new maplibregl.LngLatBounds();
      const walk = (c) => (typeof c[0] === "number" ? bounds.extend(c) : c.forEach(walk));
      data.features.forEach((f) => walk(f.geometry.coordinates));
      const live = document.createElement("div");
      live.className = "map-live";
      box.append(live);
      let map;
      try {
        map = new maplibregl.Map({
          container: live, bounds, fitBoundsOptions: { padding: 24 }, attributionControl: false, dragRotate: false, pitchWithRotate: false,
          locale: { "NavigationControl.ZoomIn": "放大", "NavigationControl.ZoomOut": "缩小", "Map.Title": data.title },
          localIdeographFontFamily: "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif",
          style: { version: 8, sources: { c: { type: "geojson", data } }, layers: [
            { id: "sea", type: "background", paint: { "background-color": "#e8f1fb" } },
            { id: "fill", type: "fill", source: "c", paint: { "fill-color": ["get", "fill"] } },
            { id: "line", type: "line", source: "c", paint: { "line-color": "#fff", "line-width": 1.6 } },
          ] },
        });
      } catch (error) { live.remove(); return; }
      map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
      map.on("error", () => {});
      map.on("load", () => { const svg = box.querySelector("svg"); if (svg) svg.style.visibility = "hidden"; });
      data.features.forEach((f) => {
        const at = document.createElement("div");
        at.className = "map-label";
        at.textContent = f.properties.name;
        new maplibregl.Marker({ element: at }).setLngLat(f.properties.at).addTo(map);
      });
      const pop = new maplibregl.Popup({ closeButton: false, closeOnClick: false });
      map.on("mousemove", "fill", (e) => {
        const p = e.features[0].properties;
        map.getCanvas().style.cursor = p.url ? "pointer" : "";
        const words = document.createElement("span");
        const value = p.value === undefined || p.value === null ? "—" : Number(p.value).toLocaleString("zh-CN");
        words.textContent = `${p.name}：${value}${data.unit || ""}`;
        pop.setLngLat(e.lngLat).setDOMContent(words).addTo(map);
      });
      map.on("mouseleave", "fill", () => pop.remove());
      map.on("click", "fill", (e) => { const to = e.features[0].properties.url; if (to) location.assign(to); });
    });
  };
  start(document);
  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
}
