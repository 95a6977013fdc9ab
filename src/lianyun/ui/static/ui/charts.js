/* Charts: draws the JSON that `ui/_chart.html` carries with ECharts. */
(() => {
  "use strict";
  const BAD = /逾期|拒绝|拒收|失败|不合格|超期/;
  const BLUES = ["#1268cf", "#19a35b", "#e08a00", "#7a57d1", "#0fa3b1", "#c8102e", "#6b7a89", "#8fc1f3"];
  const font = getComputedStyle(document.body).fontFamily;
  const size = () => parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const number = (v) => (v === null || v === undefined ? "—" : Number(v).toLocaleString("zh-CN"));
  const fill = (a, b, flat) => ({ type: "linear", x: 0, y: 0, x2: flat ? 1 : 0, y2: flat ? 0 : 1, colorStops: [{ offset: 0, color: a }, { offset: 1, color: b }] });

  const option = (s, width) => {
    const text = { fontFamily: font, fontSize: size(), color: "#3a4755" };
    const base = {
      animation: !still, animationDuration: 500, color: BLUES, textStyle: text,
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, valueFormatter: (v) => number(v) + s.unit, textStyle: text, confine: true },
      grid: { left: 8, right: 16, top: s.series.length > 1 ? 40 : 28, bottom: 4, containLabel: true },
      legend: s.series.length > 1 ? { top: 0, right: 0, itemWidth: 14, itemHeight: 9, textStyle: text } : undefined,
    };
    if (s.kind === "donut") {
      const total = s.series[0].values.reduce((a, b) => a + (b || 0), 0);
      return { ...base, grid: undefined, tooltip: { ...base.tooltip, trigger: "item", formatter: (p) => `${p.name}<br><b>${number(p.value)}</b>${s.unit}（${p.percent}%）` },
        legend: { bottom: 0, left: "center", icon: "circle", itemWidth: 10, itemGap: 14, textStyle: text, formatter: (n) => `${n}  ${number(s.series[0].values[s.labels.indexOf(n)])}` },
        title: { text: number(total), subtext: s.unit ? `合计（${s.unit}）` : "合计", left: "center", top: "31%", itemGap: 4, textStyle: { fontFamily: font, fontSize: size() * 1.8, color: "#0b3f86" }, subtextStyle: text },
        series: [{ type: "pie", radius: ["52%", "76%"], center: ["50%", "41%"], label: { show: false }, itemStyle: { borderColor: "#fff", borderWidth: 2 }, data: s.labels.map((name, i) => ({ name, value: s.series[0].values[i] })) }] };
    }
    if (s.kind === "gauge") {
      const v = s.series[0].values[0];
      return { ...base, tooltip: undefined, grid: undefined, series: [{ type: "gauge", startAngle: 210, endAngle: -30, min: 0, max: 100, radius: "95%", center: ["50%", "58%"],
        progress: { show: true, width: 14, roundCap: true, itemStyle: { color: v >= (s.target ?? 90) ? "#19a35b" : v >= 60 ? "#e08a00" : "#c8102e" } },
        axisLine: { lineStyle: { width: 14, color: [[1, "#e6edf5"]] }, roundCap: true }, axisTick: { show: false }, splitLine: { show: false }, axisLabel: { show: false }, pointer: { show: false },
        detail: { formatter: () => number(v) + (s.unit || ""), fontSize: size() * 2.3, fontWeight: 700, color: "#0b3f86", offsetCenter: [0, "5%"] }, title: { offsetCenter: [0, "42%"], ...text }, data: [{ value: v, name: s.labels[0] }] }] };
    }
    if (s.kind === "sankey") {
      const ends = s.labels.map((l) => l.split(" → "));
      const names = (i) => [...new Set(ends.map((e) => e[i]))];
      const narrow = width < 480;
      const label = { ...text, fontSize: size() * (narrow ? 0.92 : 1.05), width: narrow ? 92 : 170, overflow: "truncate" };
      const node = (side) => (name) => ({ name: side + name, depth: side === "a" ? 0 : 1, label: { ...label, position: side === "a" ? "right" : "left" } });
      return { ...base, grid: undefined, legend: undefined,
        tooltip: { ...base.tooltip, trigger: "item", formatter: (p) => (p.dataType === "edge" ? `${p.data.words}<br>` : `${p.name.slice(1)}<br>`) + `<b>${number(p.value)}</b> ${s.unit}` },
        series: [{ type: "sankey", left: 2, right: 2, top: 8, bottom: 8, nodeWidth: narrow ? 8 : 14, nodeGap: narrow ? 10 : 14, draggable: false, emphasis: { focus: "adjacency" },
          label: { formatter: (p) => p.name.slice(1) }, lineStyle: { color: "gradient", opacity: 0.38, curveness: 0.5 },
          data: [...names(0).map(node("a")), ...names(1).map(node("b"))],
          links: ends.map(([from, to], i) => ({ source: "a" + from, target: "b" + to, value: s.series[0].values[i], words: s.labels[i] })) }] };
    }
    const room = (width - 60) / Math.max(s.labels.length, 1);
    const longest = Math.max(...s.labels.map((l) => l.replace(/[\x00-\x7f]{2}/g, "x").length));
    const lines = s.kind === "line" || s.kind === "area";
    const plain = lines || s.labels.every((l) => /^[\x00-\x7f]*$/.test(l));
    const flat = s.kind === "bars" || (!plain && longest > 4 && room < 34);
    const names = { type: "category", data: s.labels, axisTick: { show: false }, axisLine: { lineStyle: { color: "#9aa7b4" } }, axisLabel: { ...text, interval: plain || room < 26 ? "auto" : 0, hideOverlap: plain, width: flat ? 116 : plain ? undefined : Math.max(room - 4, 26), overflow: flat ? "truncate" : plain ? undefined : "break", lineHeight: size() * 1.25 }, inverse: flat };
    const values = { type: "value", axisLabel: { ...text, formatter: number }, splitLine: { lineStyle: { color: "#e6ebf1" } }, splitNumber: 4 };
    return { ...base,
      tooltip: { ...base.tooltip, axisPointer: { type: lines ? "line" : "shadow" } },
      xAxis: flat ? { ...values, axisLabel: { show: false }, splitLine: { show: false } } : names,
      yAxis: flat ? { ...names, axisLine: { show: false } } : values,
      series: s.series.map((row, i) => ({
        name: row.name, data: row.values, type: lines ? "line" : "bar", cursor: s.links.length ? "pointer" : "default",
        stack: s.kind === "stack" ? "all" : undefined, barMaxWidth: flat ? 16 : 26, smooth: 0.25, showSymbol: row.values.length < 15, symbolSize: 7, lineStyle: { width: 2.5, color: BAD.test(row.name) ? "#c8102e" : BLUES[i % BLUES.length] },
        areaStyle: s.kind === "area" ? { color: fill(BLUES[i] + "59", BLUES[i] + "05") } : undefined,
        itemStyle: BAD.test(row.name) ? { color: "#c8102e", borderRadius: s.kind === "stack" ? 0 : [4, 4, 0, 0] } : lines || s.kind === "stack" || s.series.length > 1 ? { color: BLUES[i % BLUES.length], borderRadius: s.kind === "stack" ? 0 : [4, 4, 0, 0] }
          : { color: flat ? fill("#0b55b0", "#1f86e6", true) : fill("#1f86e6", "#0b55b0"), borderRadius: flat ? [0, 5, 5, 0] : [5, 5, 0, 0] },
        label: { show: !lines && s.series.length === 1 && row.values.length <= (flat ? 24 : 16), position: flat ? "right" : "top", ...text, formatter: (p) => number(p.value) },
        markLine: s.target !== null && i === 0 ? { symbol: "none", silent: true, label: { formatter: `目标 ${number(s.target)}${s.unit}`, position: flat ? "end" : "insideEndTop", ...text }, lineStyle: { color: "#c8102e", type: "dashed" }, data: [flat ? { xAxis: s.target } : { yAxis: s.target }] } : undefined,
      })) };
  };

  const draw = (root) => {
    if (!window.echarts) return;
    root.querySelectorAll("[data-chart]").forEach((box) => {
      if (box.dataset.drawn) return;
      const source = document.getElementById(box.dataset.chart);
      if (!source) return;
      box.dataset.drawn = "1";
      const spec = JSON.parse(source.textContent);
      const made = window.echarts.init(box, null, { renderer: "svg" });
      made.setOption(option(spec, box.clientWidth));
      if (spec.links.length) made.on("click", (p) => { if (p.dataType === "node") return; const to = spec.links[p.dataIndex]; if (to) location.assign(to); });
      let width = box.clientWidth;
      new ResizeObserver(() => {
        if (Math.abs(box.clientWidth - width) > 40) { width = box.clientWidth; made.setOption(option(spec, width), true); }
        made.resize();
      }).observe(box);
    });
  };
  draw(document);
  document.addEventListener("htmx:load", (event) => draw(event.detail.elt));
})();
