/* Lineage: draws the graph that a page carries: sources left, what is made from them right. */
(() => {
  "use strict";
  const COLOURS = { source: "#56646f", dataset: "#0b55b0", library: "#0a6e35", service: "#8a5000", page: "#5b3aa6", layer: "#0b6b76" };
  const draw = (box) => {
    const source = document.getElementById(box.dataset.lineage);
    if (!source || !window.echarts || box.dataset.drawn) return;
    box.dataset.drawn = "1";
    const spec = JSON.parse(source.textContent);
    const columns = new Map();
    spec.nodes.forEach((n) => { if (!columns.has(n.steps)) columns.set(n.steps, []); columns.get(n.steps).push(n); });
    const steps = [...columns.keys()].sort((a, b) => a - b);
    const tallest = Math.max(...[...columns.values()].map((c) => c.length));
    box.style.height = `${Math.max(9, tallest * 3 + 2)}rem`;
    const wide = Math.min(170, (box.clientWidth - 12) / steps.length - 22);
    const size = wide < 110 ? 11 : 13;
    const font = getComputedStyle(document.body).fontFamily;
    const w = Math.round(wide);
    const pill = `path://M8,0 H${w - 8} Q${w},0 ${w},8 V26 Q${w},34 ${w - 8},34 H8 Q0,34 0,26 V8 Q0,0 8,0 Z`;
    const nodes = spec.nodes.map((n) => {
      const column = columns.get(n.steps);
      return {
        id: n.ref, name: n.ref, title: n.title, url: n.url, kindTitle: n.kind_title,
        value: [steps.indexOf(n.steps), tallest - ((column.indexOf(n) + 0.5) / column.length) * tallest],
        symbol: pill, symbolSize: [wide, 34], cursor: n.url ? "pointer" : "default",
        itemStyle: { color: n.steps === 0 ? "#072350" : COLOURS[n.kind] || "#0b55b0", borderColor: n.steps === 0 ? "#ffb020" : "#fff", borderWidth: n.steps === 0 ? 2.5 : 1 },
        label: { show: true, color: "#fff", fontFamily: font, fontSize: size, width: wide - 12, overflow: "truncate", formatter: n.title },
      };
    });
    const hidden = { show: false, type: "value" };
    const chart = window.echarts.init(box, null, { renderer: "svg" });
    chart.setOption({
      tooltip: { confine: true, textStyle: { fontFamily: font }, extraCssText: "max-width:22rem;white-space:normal", formatter: (p) => p.dataType === "edge" ? p.data.note || "" : `${p.data.kindTitle}：${p.data.title}` },
      grid: { left: wide / 2 + 4, right: wide / 2 + 4, top: 4, bottom: 4 },
      xAxis: { ...hidden, min: 0, max: Math.max(steps.length - 1, 1) }, yAxis: { ...hidden, min: 0, max: tallest },
      series: [{ type: "graph", coordinateSystem: "cartesian2d", data: nodes, links: spec.links, edgeSymbol: ["none", "arrow"], edgeSymbolSize: 10,
        lineStyle: { color: "#5f7a99", width: 1.8, curveness: 0.04 }, emphasis: { focus: "adjacency" }, animation: false }],
    });
    chart.on("click", (p) => { if (p.data.url) location.assign(p.data.url); });
    new ResizeObserver(() => chart.resize()).observe(box);
  };
  document.querySelectorAll("[data-lineage]").forEach(draw);
})();
