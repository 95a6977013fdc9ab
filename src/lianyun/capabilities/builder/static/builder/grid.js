// Grid: a decision table as rows and columns, its cells chosen, its rows tried.
"use strict";
window.Grid = ({ root, lists, readonly, open, fresh, titled, ask, changed, state: now }) => {
  const { el } = window.Choosing;
  let tried = {}, timer = 0, shown = 0;
  const TYPES = [["string", "文字"], ["number", "数"], ["boolean", "是否"], ["date", "日期"]];
  const board = root.querySelector("[data-grid]"), tryer = root.querySelector("[data-try]");
  let verdict = { rows: {}, hit: [], outputs: [] };
  const kind_of = (column) => ({ number: "number", boolean: "boolean", date: "date" })[column.type] || "text";
  const fact_of = (column) => (lists.facts || []).find(([v]) => v === column.name);
  const list_of = (then) => (Array.isArray(then) ? then : [then]);
  const shown_value = (v) => String(v ?? "").replace(/^"(.*)"$/, "$1");
  const words_of = (column, v) => (column.name === "result" ? titled(lists.results || [], v) : v);
  function draw() {
    const state = now();
    if (!board) return;
    board.hidden = Boolean(state.use) || !state.outputs;
    if (board.hidden) { tryer?.replaceChildren(el("p", { class: "muted small", text: state.use ? "用现成的决策表；到“流程与决策表”里试。" : "还没有决策表。" })); return; }
    state.inputs = state.inputs || []; state.rules = state.rules || [];
    const cell = (value, label, focus, write) => { const node = el("input", { type: "text", "aria-label": label, "data-focus": focus, disabled: readonly, oninput: (e) => { write(e.target.value); changed(); } }); node.value = value ?? ""; return node; };
    const shift = (kind, from, to) => { const move = (list) => { list.splice(to, 0, ...list.splice(from, 1)); return list; }; move(state[kind]); for (const r of state.rules) { if (kind === "inputs") move(r.when); else r.then = move(list_of(r.then)); } changed(true); };
    const drop = (kind, n) => { state[kind].splice(n, 1); for (const r of state.rules) { if (kind === "inputs") (r.when || []).splice(n, 1); else { const list = list_of(r.then); list.splice(n, 1); r.then = list; } } changed(true); };
    const head = (column, n, kind) => {
      const out = kind === "outputs", th = el("th", { scope: "col", class: out ? "then" : "" }), label = `${out ? "结果列" : "条件列"} ${n + 1}`, fixed = out && column.name === "result";
      th.append(el("span", { class: "flow-if", text: out ? "那么" : "如果" }));
      const known = fact_of(column);
      if (out) th.append(fixed ? el("b", { text: column.title || "结论" }) : cell(column.title, `${label}名称`, `${kind}.${n}.title`, (v) => { column.title = v; }));
      else {
        const told = lists.facts || [], select = el("select", { "aria-label": `${label}看什么`, "data-focus": `${kind}.${n}.name`, disabled: readonly, onchange: (e) => { const next = told.find(([v]) => v === e.target.value); column.name = e.target.value; column.title = next?.[1] || e.target.value; column.type = { number: "number", boolean: "boolean", date: "date" }[next?.[2]] || "string"; delete column.values; for (const r of state.rules) r.when[n] = "-"; changed(true); } });
        if (!known) select.append(el("option", { value: column.name || "", text: column.name ? `${column.title || column.name}（找不到）` : "请选择", selected: true }));
        for (const [v, t] of told) select.append(el("option", { value: v, text: t, selected: v === column.name }));
        th.append(select);
      }
      const more = el("details", { class: "bmore", ontoggle: (e) => open[e.target.open ? "add" : "delete"](`${kind}.${n}`) }, el("summary", { text: "列" }));
      more.open = open.has(`${kind}.${n}`);
      if (out && !fixed) {
        const types = el("select", { "aria-label": `${label}类型`, disabled: readonly, onchange: (e) => { column.type = e.target.value; changed(true); } });
        for (const [v, t] of TYPES) types.append(el("option", { value: v, text: t, selected: v === (column.type || "string") }));
        more.append(types, el("label", { class: "small" }, el("span", { text: "只许填（用逗号隔开）" }), cell((column.values || []).join?.("，") ?? column.values, `${label}只许填`, `${kind}.${n}.values`, (v) => { const all = v.split(/[，,]/).map((x) => x.trim()).filter(Boolean); if (all.length) column.values = all; else delete column.values; })));
      } else if (!out && !known) {
        const types = el("select", { "aria-label": `${label}类型`, disabled: readonly, onchange: (e) => { column.type = e.target.value; changed(true); } });
        for (const [v, t] of TYPES) types.append(el("option", { value: v, text: t, selected: v === (column.type || "string") }));
        more.append(types);
      }
      if (!readonly) more.append(el("span", { class: "row" }, el("button", { type: "button", class: "btn small quiet", "aria-label": `${label}左移`, text: "←", disabled: n === 0, onclick: () => shift(kind, n, n - 1) }), el("button", { type: "button", class: "btn small quiet", "aria-label": `${label}右移`, text: "→", disabled: n === state[kind].length - 1, onclick: () => shift(kind, n, n + 1) }), !fixed && el("button", { type: "button", class: "btn small quiet", "aria-label": `去掉${label}`, text: "去掉这列", onclick: () => drop(kind, n) })));
      th.append(more);
      return th;
    };
    const table = el("table", { class: "bgrid" }, el("caption", { class: "sr-only", text: "决策表：条件在左，结果在右" }));
    table.append(el("thead", {}, el("tr", {}, el("th", { scope: "col", text: "序" }), state.inputs.map((c, n) => head(c, n, "inputs")), state.outputs.map((c, n) => head(c, n, "outputs")), el("th", { scope: "col" }, el("span", { class: "flow-if", text: "为什么" }), el("b", { text: "依据与说明" })), el("th", { scope: "col" }, el("span", { class: "sr-only", text: "操作" })))));
    const body = el("tbody");
    state.rules.forEach((rule, n) => {
      rule.when = rule.when || state.inputs.map(() => "-");
      const then = list_of(rule.then), name = `第 ${n + 1} 条`;
      const bad = verdict.rows?.[n], row = el("tr", { class: `${verdict.hit?.includes(n) ? "hit" : ""}${bad ? " bad" : ""}`, "data-row": n });
      row.append(el("th", { scope: "row", text: String(n + 1) }));
      state.inputs.forEach((c, k) => row.append(el("td", { "data-label": c.title || c.name }, window.Choosing.cell({ label: `${name} ${c.title || c.name}`, now: rule.when[k], kind: kind_of(c), choices: fact_of(c)?.[3] || [], readonly, path: `w.${n}.${k}`, change: (v, again) => { rule.when[k] = v || "-"; changed(again); } }))));
      state.outputs.forEach((c, k) => {
        const label = `${name} ${c.title || c.name}`, td = el("td", { class: "then", "data-label": c.title || c.name }), value = shown_value(then[k]);
        if (Array.isArray(c.values) && c.values.length) {
          const select = el("select", { "aria-label": label, "data-focus": `t.${n}.${k}`, disabled: readonly, onchange: (e) => { then[k] = e.target.value; rule.then = then; changed(true); } });
          for (const v of c.values.includes(value) ? c.values : [value, ...c.values]) select.append(el("option", { value: v, text: v === "" ? "请选择" : words_of(c, v), selected: v === value }));
          td.append(select);
        } else td.append(cell(value, label, `t.${n}.${k}`, (v) => { then[k] = v; rule.then = then; }));
        row.append(td);
      });
      row.append(el("td", { "data-label": "依据与说明" }, cell(rule.note, `${name}依据与说明`, `n.${n}`, (v) => { rule.note = v; })));
      const swap = (to) => { state.rules.splice(to, 0, ...state.rules.splice(n, 1)); changed(true); root.querySelector(`[data-row="${to}"] .acts button:not(:disabled)`)?.focus(); };
      row.append(el("td", { class: "acts" }, !readonly && [
        el("button", { type: "button", class: "btn small quiet", "aria-label": `${name}上移`, text: "↑", disabled: n === 0, onclick: () => swap(n - 1) }),
        el("button", { type: "button", class: "btn small quiet", "aria-label": `${name}下移`, text: "↓", disabled: n === state.rules.length - 1, onclick: () => swap(n + 1) }),
        el("button", { type: "button", class: "btn small quiet", "aria-label": `照抄${name}`, title: "照这条再来一条", text: "照抄", onclick: () => { state.rules.splice(n + 1, 0, structuredClone(rule)); changed(true); } }),
        el("button", { type: "button", class: "btn small quiet", "aria-label": `去掉${name}`, text: "×", onclick: () => { state.rules.splice(n, 1); changed(true); } })]));
      body.append(row);
      if (bad) body.append(el("tr", { class: "why" }, el("td", { colspan: state.inputs.length + state.outputs.length + 3, text: `${name}：${bad}` })));
    });
    table.append(body);
    board.replaceChildren(el("div", { class: "card-head" }, el("h2", { text: "规则" }), el("span", { class: "muted small", text: state.policy === "F" || !state.policy ? "从上往下看，用最先符合的一条" : "" })), el("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "决策表" }, table));
    if (!state.rules.length) board.append(el("p", { class: "muted", text: state.inputs.length ? "再写规则：每一行，左边选条件，右边选结果。最后一行都“不限”，其余的都转人工。" : "先加条件列：规则要看申请表、情形、材料里的哪几项。" }));
    if (verdict.problem && !Object.keys(verdict.rows || {}).length && state.rules.length) board.append(el("p", { class: "problem", text: verdict.problem }));
    if (!readonly) board.append(el("div", { class: "badd" },
      el("button", { type: "button", class: `btn small${state.inputs.length ? " primary" : ""}`, text: "＋ 一条规则", onclick: () => { state.rules.push({ when: state.inputs.map(() => "-"), then: state.outputs.map((o) => (o.name === "result" && (o.values || []).includes("review") ? "review" : (o.values || [""])[0] || "")), note: "" }); changed(true); } }),
      el("button", { type: "button", class: `btn small${state.inputs.length ? "" : " primary"}`, text: "＋ 一个条件列", onclick: () => { const free = (lists.facts || []).find(([v]) => !state.inputs.some((c) => c.name === v)) || ["", "", "text"]; state.inputs.push({ name: free[0], title: free[1], type: { number: "number", boolean: "boolean", date: "date" }[free[2]] || "string" }); for (const r of state.rules) r.when = [...(r.when || []), "-"]; changed(true); } }),
      el("button", { type: "button", class: "btn small", text: "＋ 一个结果列", onclick: () => { state.outputs.push({ name: fresh("out", state.outputs.map((o) => o.name)), title: "", type: "string" }); for (const r of state.rules) r.then = [...list_of(r.then), ""]; changed(true); } })));
    if (!tryer) return;
    tryer.replaceChildren();
    state.inputs.forEach((c, n) => {
      const id = `try-${n}`, pairs = kind_of(c) === "boolean" ? [["true", "是"], ["false", "否"]] : fact_of(c)?.[3] || [];
      const told = (v) => { tried[c.name] = v; clearTimeout(timer); timer = setTimeout(check, 300); };
      let node;
      if (pairs.length) { node = el("select", { id, "data-focus": id, onchange: (e) => told(e.target.value) }, el("option", { value: "", text: "（不填）" })); for (const [v, t] of pairs) node.append(el("option", { value: v, text: t })); } else node = el("input", { type: kind_of(c) === "date" ? "date" : "text", id, "data-focus": id, oninput: (e) => told(e.target.value) });
      node.value = tried[c.name] || "";
      tryer.append(el("div", { class: `field${pairs.length ? " select" : ""}` }, el("label", { for: id, text: c.title || c.name }), node));
    });
    const out = el("div", { "aria-live": "polite", "data-verdict": "" });
    if (verdict.tried) out.append(el("p", { class: "problem", text: verdict.tried }));
    for (const [t, v] of verdict.outputs || []) out.append(el("p", {}, el("span", { class: "muted", text: `${t}：` }), el("b", { text: titled(lists.results || [], v) })));
    if (verdict.hit?.length) out.append(el("p", { class: "muted small", text: `命中第 ${verdict.hit.map((h) => h + 1).join("、")} 条　${(verdict.notes || []).join("；")}` }));
    else if (verdict.outputs?.length) out.append(el("p", { class: "muted small", text: "没有规则命中" }));
    tryer.append(out);
  }
  async function check() {
    if (!now().outputs) return;
    const mine = (shown += 1), answer = await ask(root.dataset.preview, { try: JSON.stringify(tried) }).catch(() => null);
    if (mine !== shown || !answer?.ok) return;
    const found = await answer.json();
    if (JSON.stringify(found) === JSON.stringify(verdict)) return;
    verdict = found;
    const focus = document.activeElement?.dataset?.focus, at = document.activeElement?.selectionStart;
    draw();
    const back = focus && root.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    if (back) { back.focus(); try { back.setSelectionRange(at, at); } catch (error) { /* a select has no caret */ } }
  }
  return { draw, check };
};
