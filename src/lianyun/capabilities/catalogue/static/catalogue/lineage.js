/* Lineage: draws the graph that a page carries: sources left, what is made from them right. */
(() => {
  "use strict";
  const COLOURS = { source: "#6b7a89", dataset: "#1268cf", library: "#0a6e35", service: "#8a5000", page: "#7a57d1", layer: "#0fa3b1" };
  const draw = (box) => {
    const source = document.getElementById(box.dataset.lineage);
    if (!source || !window.echarts || box.dataset.drawn) return;
    box.dataset.drawn = "1";
    const spec = JSON.parse(source.textContent);
    const columns = new Map();
    spec.nodes.forEach((n) => { if (!columns.has(n.steps)) columns.set(n.steps, []); columns.get(n.steps).push(n); });
    const steps = [...columns.keys()].sort((a, b) => a - b);
    const tallest = Math.max(...[...columns.values()].map((c) => c.length));
    box.style.height = `${Math.max(18, Math.min(60, tallest * 3.4 + 4))}rem`;
    const narrow = box.clientWidth < 560;
    const font = getComputedStyle(document.body).fontFamily;
    const nodes = spec.nodes.map((n) => {
      const column = columns.get(n.steps);
      const across = steps.length === 1 ? 0.5 : steps.indexOf(n.steps) / (steps.length - 1);
      const wide = narrow ? 96 : 168;
      return {
        id: n.ref, name: n.title, url: n.url, kindTitle: n.kind_title,
        x: across * 900, y: ((column.indexOf(n) + 0.5) / column.length) * Math.max(300, tallest * 46),
        symbol: "roundRect", symbolSize: [wide, 34],
        itemStyle: { color: n.steps === 0 ? "#0b3f86" : COLOURS[n.kind] || "#1268cf", borderColor: n.steps === 0 ? "#ffb020" : "#fff", borderWidth: 2 },
        label: { show: true, color: "#fff", fontFamily: font, fontSize: 13, width: wide - 14, overflow: "truncate", formatter: "{b}" },
        cursor: n.url ? "pointer" : "default",
      };
    });
    const chart = window.echarts.init(box, null, { renderer: "svg" });
    chart.setOption({
      tooltip: { confine: true, textStyle: { fontFamily: font }, formatter: (p) => p.dataType === "edge" ? (p.data.note || "") : `${p.data.kindTitle}：${p.data.name}`, extraCssText: "max-width:22rem;white-space:normal" },
      series: [{ type: "graph", layout: "none", roam: true, scaleLimit: { min: 0.5, max: 3 }, left: narrow ? 54 : 94, right: narrow ? 54 : 94, top: 30, bottom: 30,
        data: nodes, edges: spec.links.map((l) => ({ ...l })), edgeSymbol: ["none", "arrow"], edgeSymbolSize: 9,
        lineStyle: { color: "#8fa6c0", width: 1.8, curveness: 0.08 }, emphasis: { focus: "adjacency" }, animation: false }],
    });
    chart.on("click", (p) => { if (p.data.url) location.assign(p.data.url); });
    new ResizeObserver(() => chart.resize()).observe(box);
  };
  document.querySelectorAll("[data-lineage]").forEach(draw);
})();
