// Builder: draws an editor over a part of a service from a layout, checks it while it is typed, previews it.
"use strict";
(() => {
  const settled = document.querySelector("[data-settles]"); // what was laid aside is kept by the server
  if (settled) for (const page of settled.dataset.settles.split(" ")) sessionStorage.removeItem(`builder ${page}`);
  const root = document.querySelector("[data-editor]");
  if (!root) return;
  const { el } = window.Choosing;
  const told = (id) => JSON.parse(document.getElementById(id).textContent);
  const schema = told("b-schema"), lists = told("b-lists");
  let state = told("b-content"), findings = told("b-findings");
  const service = document.querySelector(".crumbs li:nth-child(2)")?.textContent || "";
  const page = root.dataset.page, readonly = "readonly" in root.dataset;
  const box = root.querySelector("[data-fields]"), summary = root.querySelector("[data-findings]");
  const form = root.querySelector("[data-save]"), said = root.querySelector("[data-state]");
  const token = root.querySelector("[name=csrfmiddlewaretoken]")?.value || "";
  const open = new Set();
  let dirty = false, timer = 0, asked = 0, kept = {}, count = 0, dragged = null;

  const get = (at, name) => name.split(".").reduce((o, k) => (o && typeof o === "object" ? o[k] : undefined), at);
  const put = (at, name, value) => {
    const keys = name.split("."), last = keys.pop();
    let here = at;
    for (const k of keys) { if (!here[k] || typeof here[k] !== "object") here[k] = {}; here = here[k]; }
    const blank = value === "" || value === undefined || value === null || (Array.isArray(value) && !value.length && !Array.isArray(here[last]));
    if (blank) delete here[last]; else here[last] = value;
    if (keys.length && !Object.keys(here).length) put(at, keys.join("."), undefined);
  };
  const filled = (v) => v !== undefined && v !== null && v !== "" && v !== false && !(Array.isArray(v) && !v.length);
  const fits = (field, at) => Object.entries(field.when || {}).every(([name, wanted]) => {
    const v = get(at, name);
    return wanted.some((w) => (w === "*" ? filled(v) : w === null ? !filled(v) : Array.isArray(v) ? v.includes(w) : v === w));
  });
  const choices = (field, at) => {
    if (field.of) return (lists[field.of.list] || {})[field.of.prefix + (get(at, field.of.key) || "")] || [];
    if (field.names) return (state[field.names] || []).map((e) => [e.name, e.title || e.name]);
    if (field.steps) return (state.steps || []).map((s) => [s.id, s.title || s.id]);
    return typeof field.choices === "string" ? lists[field.choices] || [] : field.choices || [];
  };
  // What a condition may ask: the page's own questions as they stand, then what the server has told.
  const facts = () => {
    const told = lists.facts || [];
    if (page === "materials") return [...(state.situations || []).filter((q) => q.id).map((q) => [q.id, q.question || q.id, "choice", (q.options || []).map((o) => [o.id, o.title || o.id])]), ...told];
    if (page === "form") return [...(state.parts || []).filter((p) => !p.repeat).flatMap((p) => p.fields || []).filter((f) => f.id && ["choice", "number", "money", "date", "text", undefined].includes(f.kind)).map((f) => { const options = Object.entries(f.options || {}); return [f.id, f.title || titled(lists.elements || [], f.element) || f.id, options.length ? "choice" : f.kind === "number" || f.kind === "money" ? "number" : f.kind === "date" ? "date" : "text", options]; }), ...told];
    if (page === "path") return [...told, ...(state.steps || []).filter((t) => t.each).flatMap((t) => Object.entries(t.outcomes || {}).map(([k, o]) => [`${t.id}.${k}`, `“${t.title}”中“${o.title}”的部门数`, "number", []]))];
    return told;
  };
  const titled = (pairs, value) => (pairs.find(([v]) => v === value) || [, value])[1];
  const changed = (again) => {
    dirty = true;
    keep(false);
    if (said) said.textContent = "有未保存的修改";
    if (again) draw();
    clearTimeout(timer);
    timer = setTimeout(check, 350);
  };
  const fresh = (stem, used) => { let n = 1; while (used.includes(`${stem}${n}`)) n += 1; return `${stem}${n}`; };

  // What was typed outlives the page: Back, another page, a save that was refused lose nothing.
  const here = `builder ${root.dataset.code}/${page}`;
  const keep = (sent) => { try { sessionStorage.setItem(here, JSON.stringify({ state, base: form?.elements.base.value, sent })); } catch (error) { /* a full or forbidden store: the page warns as before */ } };
  function brought_back() {
    let old = null;
    try { old = JSON.parse(sessionStorage.getItem(here) || "null"); } catch (error) { old = null; }
    if (!old || !form) return;
    const stands = JSON.stringify(old.state) === JSON.stringify(state) || (old.sent && Number(form.elements.base.value) > Number(old.base));
    if (stands) { sessionStorage.removeItem(here); return; }
    const saved = state, base = form.elements.base.value;
    state = old.state;
    form.elements.base.value = old.base;
    dirty = true;
    const note = el("div", { class: "note blue bback", role: "status" }, el("div", {}, el("span", { text: "接着您上次没有保存的修改。" }), el("button", { type: "button", class: "btn small", text: "不要了，用已保存的", onclick: () => { sessionStorage.removeItem(here); state = saved; form.elements.base.value = base; dirty = false; note.remove(); if (said) said.textContent = ""; draw(); check(); } })));
    root.querySelector(".bmain").prepend(note);
    if (said) said.textContent = "有未保存的修改";
    setTimeout(check);
  }

  // ---- fields ------------------------------------------------------------------------------
  const help = (field, id) => field.help && el("p", { class: "help", id: `${id}-help`, text: field.help });
  function input(field, at, path) {
    const id = `b${(count += 1)}`, value = get(at, field.name);
    const wrap = el("div", { class: `field${["area", "lines", "multi", "map", "when"].includes(field.kind) ? " full" : ""}${field.kind === "select" ? " select" : ""}`, "data-path": path });
    const label = () => el("label", { for: id }, field.label, field.required && el("span", { class: "req", text: "*", title: "必填" }));
    const own = { id, "data-focus": path, disabled: readonly, "aria-describedby": field.help ? `${id}-help` : undefined };
    if (field.kind === "bool") {
      const on = value === undefined ? Boolean(field.preset) : value === true;
      const tick = el("input", { ...own, type: "checkbox", onchange: (e) => { put(at, field.name, e.target.checked === Boolean(field.preset) && value === undefined ? undefined : e.target.checked || (field.preset ? false : undefined)); changed(true); } });
      tick.checked = on;
      wrap.append(el("label", { class: "check", for: id }, tick, el("span", { text: field.label })));
    } else if (field.kind === "multi") {
      const now = Array.isArray(value) ? value : filled(value) ? [value] : [];
      const pairs = choices(field, at).map(([v, t]) => [v, t]);
      for (const v of now) if (!pairs.some(([p]) => p === v)) pairs.push([v, `${v}（不在可选之列）`]);
      const set = el("fieldset", { class: "bset" }, el("legend", {}, field.label, field.required && el("span", { class: "req", text: "*" })));
      const group = el("div", { class: "choices cols" });
      pairs.forEach(([v, t], n) => {
        const tick = el("input", { type: "checkbox", disabled: readonly, "data-focus": `${path}.${n}`, onchange: (e) => { const next = e.target.checked ? [...now, v] : now.filter((x) => x !== v); put(at, field.name, next.length ? next : undefined); changed(true); } });
        tick.checked = now.includes(v);
        group.append(el("label", {}, tick, el("span", { text: ` ${t}` })));
      });
      if (!pairs.length) group.append(el("p", { class: "muted small", text: "先选上一项" }));
      set.append(group);
      wrap.append(set, help(field, id) || "");
      return wrap;
    } else if (field.kind === "select") {
      const pairs = choices(field, at), current = value === undefined || value === null ? "" : String(value);
      const select = el("select", { ...own, onchange: (e) => pick(field, at, e.target.value) });
      if (field.empty !== undefined || !current) select.append(el("option", { value: "", text: field.empty || "请选择" }));
      for (const [v, t] of pairs) select.append(el("option", { value: v, text: t, selected: String(v) === current }));
      if (current && !pairs.some(([v]) => String(v) === current)) select.append(el("option", { value: current, text: `${current}（不在可选之列）`, selected: true }));
      wrap.append(label(), select);
    } else if (field.kind === "map") {
      wrap.append(mapping(field, at, path));
    } else if (field.kind === "when") {
      wrap.append(window.Choosing.condition({ label: field.label, now: value || "", facts: facts().filter((f) => f[0] !== at.id), empty: field.empty, readonly, path, change: (v, again) => { put(at, field.name, v); changed(again); } }));
    } else if (field.kind === "days") {
      wrap.append(label(), window.Choosing.days({ label: field.label, now: value, readonly, path, id, change: (v, again) => { put(at, field.name, v); changed(again); } }));
    } else if (field.kind === "numbering") {
      wrap.append(window.Choosing.numbering({ label: field.label, now: value, readonly, path, change: (v, again) => { put(at, field.name, v); changed(again); } }));
    } else if (field.kind === "area" || field.kind === "lines") {
      const text = el("textarea", { ...own, rows: field.kind === "lines" ? 3 : 3, oninput: (e) => { const v = e.target.value; put(at, field.name, field.kind === "lines" ? v.split("\n").map((l) => l.trim()).filter(Boolean) : v); changed(); } });
      text.value = Array.isArray(value) ? value.join("\n") : value ?? "";
      wrap.append(label(), text);
    } else {
      const type = field.kind === "colour" ? "color" : "text";
      const text = el("input", { ...own, type, inputmode: field.kind === "number" ? "numeric" : undefined, autocomplete: "off", oninput: (e) => { const v = e.target.value.trim(); const number = (field.kind === "number" || field.scalar) && /^-?\d+(\.\d+)?$/.test(v); const before = filled(get(at, field.name)); put(at, field.name, number ? Number(v) : field.kind === "text" || field.kind === "colour" ? e.target.value : v); changed(field.name === "repeat.item" && before !== filled(v)); }, onchange: (e) => { if (["title", "name", "question", "q"].includes(field.name)) rename(e.target); } });
      text.value = value ?? (field.kind === "colour" ? "#8a1c1c" : "");
      wrap.append(label(), text);
    }
    const more = help(field, id);
    if (more) wrap.append(more);
    return wrap;
  }
  // Only the card's heading: drawing all anew would take the button away that is being pressed.
  function rename(node) {
    const head = node.closest(".bcard")?.querySelector("summary b");
    if (head && node.value) head.textContent = node.value;
  }
  function pick(field, at, value) {
    if (field.whole) {
      if (value) { if (!state.use) kept = state; state = { use: value }; } else { state = kept.use ? {} : kept; if (page === "path" && !state.steps) state = composed(); if (page === "form" && !state.parts) state = { title: "", parts: [], ...state }; }
    } else if (field.number) put(at, field.name, value === "" ? undefined : Number(value));
    else put(at, field.name, value);
    changed(true);
  }
  function mapping(field, at, path) {
    const now = get(at, field.name) || {}, keys = choices(field, at).length ? choices(field, at) : field.name === "result.elements" ? lists.elements || [] : [];
    const values = field.value ? lists[field.value] || [] : field.name === "result.elements" ? lists.fields || [] : [];
    const write = (pairs) => { put(at, field.name, pairs.length ? Object.fromEntries(pairs) : undefined); };
    const pairs = Object.entries(now);
    const set = el("fieldset", { class: "bset bmap" }, el("legend", { text: field.label }));
    const side = (n, which, options) => {
      const change = (v) => { pairs[n][which] = v; write(pairs); changed(); };
      const name = `${field.label} 第 ${n + 1} 行${which ? "右边" : "左边"}`;
      if (options.length && (!pairs[n][which] || options.some(([v]) => v === pairs[n][which]))) {
        const select = el("select", { "aria-label": name, disabled: readonly, "data-focus": `${path}.${n}.${which}`, onchange: (e) => change(e.target.value) }, el("option", { value: "", text: "请选择" }));
        for (const [v, t] of options) select.append(el("option", { value: v, text: t === v ? v : `${t}（${v}）`, selected: v === pairs[n][which] }));
        return select;
      }
      const text = el("input", { type: "text", "aria-label": name, disabled: readonly, "data-focus": `${path}.${n}.${which}`, oninput: (e) => change(e.target.value) });
      text.value = pairs[n][which];
      return text;
    };
    pairs.forEach((_, n) => set.append(el("div", { class: "bpair" }, side(n, 0, keys), el("span", { "aria-hidden": "true", text: "=" }), side(n, 1, values), !readonly && el("button", { type: "button", class: "btn small quiet", "aria-label": `去掉第 ${n + 1} 行`, text: "×", onclick: () => { pairs.splice(n, 1); write(pairs); changed(true); } }))));
    if (!readonly) set.append(el("button", { type: "button", class: "btn small", text: "＋ 加一行", onclick: () => { const code = keys.length ? (keys.find(([v]) => !(v in now)) || [""])[0] : fresh("o", Object.keys(now)); write([...pairs, [code, ""]]); changed(true); } }));
    return set;
  }

  // ---- lists -------------------------------------------------------------------------------
  const name_of = (field, one) => {
    const value = field.title && one[field.title];
    if (field.title === "by") return `${titled(field.fields[0].choices, one.by)}　${one.type ? titled(lists.licences || [], one.type) : one.library ? titled(lists.libraries || [], one.library) : one.source ? titled(lists.datasets || [], one.source) : one.text || ""}`;
    if (value) return value;
    if (one.standard) return `${titled(lists.standards || [], one.standard)}（标准材料）`;
    if (field.alt && one[field.alt]) return titled(lists.elements || [], one[field.alt]);
    return one.id || one.name || (field.single ? Object.values(one).join(" · ") : `未命名的${field.item.replace("一个", "").replace("一份", "").replace("一条", "")}`);
  };
  const marks = (field, one) => {
    const out = [];
    if (page === "form" && field.name === "fields") {
      if (one.element || one.kind) out.push(one.kind ? titled(lists.kinds || [], one.kind) : "数据元");
      if (one.required) out.push("必填");
      if (one.from) out.push("自动填");
      if (one.when) out.push("有条件");
    }
    if (one.grounds) out.push(one.grounds.length ? `${one.grounds.length} 条免交依据` : "要提交");
    if (one.fields && field.name === "parts") out.push(`${one.fields.length} 题`);
    if (one.permission) out.push(titled(lists.permissions || [], one.permission));
    if (one.decide) out.push("决策表");
    return out;
  };
  // A step in one line: by when, and where each outcome leads.
  const END = { granted: "准予", refused: "不予", not_accepted: "不予受理", withdrawn: "撤回", expired: "逾期终止" };
  function line_of(field, one, n) {
    if (page !== "path") return "";
    const steps = state.steps || [], name = (id) => titled(steps.map((s) => [s.id, s.title]), id);
    const where = (way) => (way.end ? `办结（${END[way.end] || way.end}）` : way.go ? name(way.go) : steps[n + 1]?.title || "办结");
    if (field.name === "steps") {
      const days = one.days === undefined ? "" : one.days === "promised_days" ? "承诺时限内" : one.days === "legal_days" ? "法定时限内" : `${one.days} 个工作日内`;
      const ways = one.choose ? one.choose.map((w) => `${w.title || "其余"} → ${where(w)}`) : one.timer ? [`${one.timer.days ?? "?"} 个工作日后 → ${where({})}`] : one.decide || one.wait ? [`→ ${where({})}`] : Object.values(one.outcomes || {}).map((o) => `${o.title || "？"} → ${where(o)}`);
      return [days, ways.join("；")].filter(Boolean).join("　");
    }
    return "";
  }
  // A new step stands where its kind belongs; what led to the step behind it leads to it.
  const ways = (step) => [...Object.values(step.outcomes || {}), ...(step.choose || [])];
  function lead(from, to, before) {
    for (const way of (state.steps || []).slice(0, before).flatMap(ways)) if (way.go === from) { if (to) way.go = to; else delete way.go; }
  }
  function put_in(made, kind) {
    const steps = (state.steps = state.steps || []), find = (id) => steps.findIndex((s) => s.id === id), or_end = (...ids) => { for (const id of ids) if (find(id) >= 0) return find(id); return steps.length; };
    const begun = find("supplement") === find("receive") + 1 && find("receive") >= 0 ? find("supplement") + 1 : find("receive") + 1, rule = steps.findLastIndex((s) => s.decide);
    const to = { receive: 0, supplement: find("receive") + 1, rule: begun, way: rule >= 0 ? rule + 1 : begun, review: or_end("decide", "deliver"), opinions: or_end("decide", "deliver"), deliver: steps.length }[kind] ?? or_end("deliver");
    const behind = steps[to];
    steps.splice(to, 0, made);
    if (behind && kind !== "supplement") lead(behind.id, made.id, to);
    return to;
  }
  function listing(field, at, path) {
    let entries = get(at, field.name);
    const mapped = field.kind === "entries";
    let pairs = null;
    if (mapped) { pairs = Object.entries(entries || {}); entries = pairs.map(([, v]) => v); }
    else if (entries && !Array.isArray(entries)) entries = [entries];
    entries = entries || [];
    const write = (next, names) => {
      if (mapped) put(at, field.name, Object.fromEntries(next.map((v, n) => [names[n], v])));
      else if (field.single) put(at, field.name, next.length === 1 ? next[0] : next.length ? next : undefined);
      else if (next.length) put(at, field.name, next);
      else { put(at, field.name, undefined); if (["materials", "situations", "parts", "fields", "steps", "elements"].includes(field.name)) at[field.name] = []; }
    };
    const names = mapped ? pairs.map(([k]) => k) : [];
    const set = el("div", { class: `blist depth${path.split(".").length > 2 ? 2 : 1}`, "data-path": path, role: "group", "aria-label": field.label || field.item });
    if (field.label) set.append(el("p", { class: "label", text: field.label }));
    if (field.help) set.append(el("p", { class: "help", text: field.help }));
    const move = (from, to) => { if (to < 0 || to >= entries.length) return; const next = [...entries], nn = [...names]; next.splice(to, 0, ...next.splice(from, 1)); nn.splice(to, 0, ...nn.splice(from, 1)); const a = `${path}.${from}`, b = `${path}.${to}`, was = open.has(a), other = open.has(b); open[was ? "add" : "delete"](b); open[other ? "add" : "delete"](a); write(next, nn); changed(true); root.querySelector(`[data-move="${path}.${to}"]`)?.focus(); };
    entries.forEach((one, n) => {
      const here = `${path}.${n}`, plain = one && typeof one === "object" ? one : { name: one };
      const card = el("details", { class: "bcard", "data-path": here, "data-card": here, ontoggle: (e) => { open[e.target.open ? "add" : "delete"](here); } });
      card.open = open.has(here);
      const head = el("summary", {}, el("span", { class: "grip", "aria-hidden": "true", text: "⠿", title: "拖动排序" }), el("b", { text: name_of(field, plain) }), ...marks(field, plain).map((m) => el("span", { class: "badge", text: m })));
      const line = line_of(field, plain, n);
      if (line) head.append(el("span", { class: "bway1", text: line }));
      card.append(head);
      if (!readonly) {
        head.draggable = true;
        head.addEventListener("dragstart", (e) => { dragged = { path, n }; e.dataTransfer.effectAllowed = "move"; e.dataTransfer.setData("text/plain", here); });
        card.addEventListener("dragover", (e) => { if (dragged?.path === path) { e.preventDefault(); e.stopPropagation(); card.classList.add("over"); } });
        card.addEventListener("dragleave", () => card.classList.remove("over"));
        card.addEventListener("drop", (e) => { card.classList.remove("over"); if (dragged?.path === path) { e.preventDefault(); e.stopPropagation(); move(dragged.n, n); dragged = null; } });
      }
      const body = el("div", { class: "bbody" }, fields(field.fields, plain, here));
      if (!readonly) body.append(el("div", { class: "btools" },
        el("button", { type: "button", class: "btn small", "data-move": here, text: "↑ 上移", disabled: n === 0, onclick: () => move(n, n - 1) }),
        el("button", { type: "button", class: "btn small", text: "↓ 下移", disabled: n === entries.length - 1, onclick: () => move(n, n + 1) }),
        el("button", { type: "button", class: "btn small", text: `去掉${name_of(field, plain).slice(0, 12)}`, onclick: () => { const next = entries.filter((_, k) => k !== n); if (page === "path" && field.name === "steps") lead(plain.id, entries[n + 1]?.id, entries.length); write(next, names.filter((_, k) => k !== n)); open.delete(here); changed(true); } })));
      card.append(body);
      set.append(card);
    });
    if (!entries.length) set.append(el("p", { class: "muted small", text: "还没有" }));
    const add = (one, key) => { const made = structuredClone(one); if (page === "path" && field.name === "steps") { const to = put_in(made, key); for (const at of [...open]) if (/^steps\.\d+$/.test(at)) open.delete(at); open.add(`${path}.${to}`); changed(true); show(root.querySelector(`[data-card="${path}.${to}"]`)); return; } for (const k of ["id"]) if (k in made && !made[k]) made[k] = fresh({ materials: "m", situations: "s", parts: "part", fields: "q", options: "o" }[field.name] || "x", field.name === "options" ? entries.map((o) => o.id) : every_id(field)); write([...entries, made], [...names, key]); open.add(`${path}.${entries.length}`); changed(true); const card = root.querySelector(`[data-card="${path}.${entries.length}"]`); card?.querySelector("input:not([type=checkbox]), select, textarea")?.focus(); };
    if (!readonly) set.append(adder(field, add));
    return set;
  }
  const every_id = (field) => (field.name === "fields" || field.name === "parts" ? (state.parts || []).flatMap((p) => [p.id, ...(p.fields || []).map((f) => f.id)]) : (state[field.name] || []).map((x) => x.id || x.standard)).filter(Boolean);
  function adder(field, add) {
    const row = el("div", { class: "badd" });
    if ((page === "form" && field.name === "fields") || (page === "licence" && field.name === "elements")) {
      const id = `b${(count += 1)}`;
      const text = el("input", { type: "text", id, list: "b-elements", placeholder: "搜数据元，如 姓名", autocomplete: "off" });
      const take = () => {
        const found = (lists.elements || []).find(([v, t]) => text.value === `${t}（${v}）` || text.value === v || text.value === t);
        if (!found) { text.focus(); return; }
        if (field.name === "elements") add({ name: found[0], element: found[0], required: true });
        else { const used = every_id(field); add({ id: used.includes(found[0]) ? fresh(found[0], used) : found[0], element: found[0], required: true }); }
      };
      text.addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); take(); } });
      row.append(el("label", { class: "sr-only", for: id, text: "按数据元加" }), text, el("button", { type: "button", class: "btn small primary", text: "＋ 按数据元加", onclick: take }));
      if (field.name === "fields") for (const kind of ["text", "choice", "date", "number", "file", "declaration"]) row.append(el("button", { type: "button", class: "btn small", text: titled(lists.kinds || [], kind), onclick: () => add({ id: "", title: "", kind, required: true, ...(kind === "choice" ? { options: { a: "", b: "" } } : kind === "declaration" ? { title: "承诺", text: "本人承诺所填内容真实。" } : {}) }) }));
      else row.append(el("button", { type: "button", class: "btn small", text: "自己定义", onclick: () => add({ name: fresh("e", (state.elements || []).map((x) => x.name)), title: "", type: "C" }) }));
      return row;
    }
    if (page === "path" && field.name === "steps") {
      const key = "palette", fold = el("details", { class: "bpalette", ontoggle: (e) => open[e.target.open ? "add" : "delete"](key) }, el("summary", { class: "btn", text: "＋ 加一个环节" }));
      fold.open = open.has(key) || !(state.steps || []).length;
      const grid = el("div", { class: "bkinds" });
      for (const one of lists.palette || []) grid.append(el("button", { type: "button", onclick: () => { open.delete("palette"); const used = (state.steps || []).map((s) => s.id); add({ ...one.step, id: used.includes(one.step.id) ? fresh(one.step.id, used) : one.step.id }, one.kind); } }, el("b", { text: one.title }), el("span", { text: one.note })));
      fold.append(grid);
      row.append(fold);
      return row;
    }
    row.append(el("button", { type: "button", class: "btn small", text: `＋ ${field.item}`, onclick: () => { const key = field.kind === "entries" ? fresh("r", []) + Date.now().toString(36).slice(-3) : ""; add(field.blank || (field.kind === "entries" ? { title: "" } : Object.fromEntries(field.fields.filter((f) => f.required).map((f) => [f.name, ""]))), key); } }));
    return row;
  }
  function fields(group, at, path) {
    const grid = el("div", { class: "form-grid" }), fine = el("div", { class: "form-grid" });
    for (const field of group) {
      if (!fits(field, at) || (!path && !started() && field.name !== "use")) continue;
      const here = path ? `${path}.${field.name}` : field.name, place = field.fine ? fine : grid;
      if (field.kind === "list" || field.kind === "entries") { const one = listing(field, at, here); one.classList.add("full"); place.append(one); } else place.append(input(field, at, here));
    }
    if (fine.childElementCount) {
      const key = `fine:${path}`, fold = el("details", { class: "bfine full", ontoggle: (e) => open[e.target.open ? "add" : "delete"](key) }, el("summary", { text: "更多设置" }), fine);
      fold.open = open.has(key);
      grid.append(fold);
    }
    return grid;
  }
  const started = () => (page === "decision" ? Boolean(state.use || state.outputs) : page === "licence" ? Boolean(state.use || state.elements || state.title) : true);
  const composed = () => {
    const by = Object.fromEntries((lists.palette || []).map((p) => [p.kind, p.step]));
    const steps = ["receive", "supplement", "decide", "deliver"].map((k) => structuredClone(by[k]));
    steps[0].outcomes.accept.go = "decide";
    return { title: `${service}办理`, basis: "", steps };
  };
  function begun() {
    if (page === "decision" && !state.use && !state.outputs && !readonly) return el("div", { class: "bbegin" }, el("p", { text: "决策表让规则直接得出结论：符合的当场准予，其余的转人工。每一行是一条规则：左边是条件，右边是结果。没有明确规则的服务不用它。" }), el("button", { type: "button", class: "btn primary", text: "＋ 编一张决策表", onclick: () => { state = { title: "办理规则", basis: "", policy: "F", inputs: [], outputs: [{ name: "result", title: "结论", type: "string", values: ["granted", "refused", "review"] }, { name: "reason", title: "给申请人的说明", type: "string" }], rules: [] }; changed(true); } }));
    if (page === "licence" && !state.use && !state.elements && !readonly) return el("div", { class: "bbegin" }, el("p", { text: "办成以后发给申请人的电子证照：有编号、持证人、日期和您要的信息项，可以下载、出示二维码核验。只要一份书面结果的不用它。" }), el("button", { type: "button", class: "btn primary", text: "＋ 设计一个证照", onclick: () => { state = { title: `${service.replace(/(登记|申请|办理|备案|核发)$/, "")}证`, serial: "9" + String(10 + Math.floor(Math.random() * 89)), holders: ["person"], years: 1, number: "number", numbering: "NO{year}{serial:05}", holder: { name: "holder_name", number: "holder_number" }, dates: { issued: "issued_on", to: "valid_to" }, elements: [{ name: "number", title: "编号", type: "C", required: true }, { name: "holder_name", element: "person_name", title: "持证人", required: true }, { name: "holder_number", element: "citizen_number", title: "身份号码", required: true }, { name: "issued_on", title: "发证日期", type: "D", required: true }, { name: "valid_to", title: "有效期至", type: "D" }], look: { layout: "portrait", colour: "#8a1c1c" } }; changed(true); } }));
    return null;
  }
  function draw() {
    const focus = document.activeElement?.dataset?.focus;
    count = 0;
    box.replaceChildren();
    for (const group of schema) {
      const inner = fields(group.fields, state, "");
      if (!inner.childElementCount) continue;
      const head = group.title && el("div", { class: "card-head" }, el("h2", { text: group.title }));
      const note = group.note && el("p", { class: "muted", text: group.note });
      if (group.folded) {
        const key = `group:${group.title}`, fold = el("details", { class: "card bfold", ontoggle: (e) => open[e.target.open ? "add" : "delete"](key) }, el("summary", {}, el("h2", { text: group.title })), inner);
        fold.open = open.has(key);
        box.append(fold);
      } else box.append(el("section", { class: "card" }, head, note, inner, begun()));
    }
    if (lists.elements && (page === "form" || page === "licence")) { const data = el("datalist", { id: "b-elements" }); for (const [v, t] of lists.elements) data.append(el("option", { value: `${t}（${v}）` })); box.append(data); }
    if (page === "decision") table.draw();
    const back = focus && root.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    if (back) { back.focus(); if (back.type === "text") back.setSelectionRange(back.value.length, back.value.length); }
    mark();
  }

  // ---- findings ----------------------------------------------------------------------------
  function mark() {
    for (const old of root.querySelectorAll(".bproblem")) old.remove();
    for (const old of root.querySelectorAll(".berror")) old.classList.remove("berror", "error");
    const list = el("ul", { class: "bfound" });
    for (const f of findings) {
      let place = f.place, node = null;
      while (place && !(node = root.querySelector(`[data-path="${CSS.escape(place)}"]`))) place = place.split(".").slice(0, -1).join(".");
      const go = node ? el("a", { href: "#", text: f.words, onclick: (e) => { e.preventDefault(); show(node); } }) : el("span", { text: f.words });
      list.append(el("li", { class: f.severity }, go));
      if (node && f.severity === "error") { node.classList.add("berror"); if (node.classList.contains("field")) node.classList.add("error"); const line = el("p", { class: "problem bproblem", text: f.words.replace(/^[^：]{1,20}：/, "") }); if (node.tagName === "DETAILS") node.querySelector("summary").append(line); else node.append(line); }
    }
    const wrong = findings.filter((f) => f.severity === "error").length;
    summary.replaceChildren();
    if (findings.length) { const fold = el("details", { class: `note ${wrong ? "amber" : ""} bsum` }, el("summary", { text: wrong ? `这一页还有 ${wrong} 处要改` : `${findings.length} 处提醒` }), list); fold.open = open.has("sum"); fold.addEventListener("toggle", () => open[fold.open ? "add" : "delete"]("sum")); summary.append(fold); } else summary.append(el("p", { class: "bgood", text: "✓ 这一页没有问题" }));
  }
  function show(node) { for (let up = node; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true; node.scrollIntoView({ block: "center" }); (node.querySelector("input, select, textarea, summary") || node).focus?.(); }
  const ask = async (url, more = {}) => {
    const body = new FormData();
    body.set("content", JSON.stringify(state));
    body.set("page", page);
    for (const [k, v] of Object.entries(more)) body.set(k, v);
    return fetch(url, { method: "POST", body, credentials: "same-origin", headers: { "X-CSRFToken": token } });
  };
  async function check() {
    const mine = (asked += 1);
    const [answer] = await Promise.all([ask(root.dataset.check).catch(() => null), page === "path" ? null : preview()]);
    if (mine !== asked || !answer?.ok) return;
    const found = await answer.json();
    if (mine !== asked) return;
    findings = found.findings;
    mark();
    if (page === "path") await preview(); // a drawing that cannot be made says what was found
    root.dataset.checked = String(mine);
  }

  // ---- previews ----------------------------------------------------------------------------
  const pane = root.querySelector("[data-preview-box]"), pane_note = root.querySelector("[data-preview-note]");
  let viewer = null, part = "", shown = 0, drawing = Promise.resolve();
  async function preview(more = {}) {
    if (page === "decision") return table.check();
    if (!pane) return;
    const mine = (shown += 1);
    const answer = await ask(root.dataset.preview, { part, ...more }).catch(() => null);
    if (!answer || mine !== shown) return;
    const bare = !answer.ok || answer.headers.get("X-Preview") === "none";
    if (page === "form") {
      pane.innerHTML = await answer.text();
      for (const node of pane.querySelectorAll("[hx-post]")) for (const name of [...node.getAttributeNames()].filter((n) => n.startsWith("hx-"))) node.removeAttribute(name);
      for (const button of pane.querySelectorAll("[data-part]")) button.addEventListener("click", () => { part = button.dataset.part; preview(); });
      pane.querySelector("#part")?.addEventListener("change", (e) => { const values = Object.fromEntries([...pane.querySelectorAll("#part [name]")].filter((n) => (n.type !== "radio" && n.type !== "checkbox") || n.checked).map((n) => [n.name, n.value])); if (e.target.type === "radio" || e.target.tagName === "SELECT") preview({ ...values, do: "refresh", part: part || pane.querySelector("[data-part]")?.dataset.part || "" }); });
    } else if (page === "path") {
      if (bare) { const why = findings.find((f) => f.severity === "error")?.words; pane_note.textContent = `${pane.dataset.drawn ? "图还是上一次能画时的样子" : "环节还不能成图"}${why ? `：${why}` : "，请看下面的提示"}。`; pane.classList.toggle("old", Boolean(pane.dataset.drawn)); return; }
      pane_note.textContent = state.use ? "" : "点图上的环节，下面就打开它。";
      pane.classList.remove("old");
      try {
        if (!viewer) {
          viewer = new BpmnJS({ container: pane });
          viewer.get("eventBus").on("element.click", (e) => { const n = (state.steps || []).findIndex((s) => s.id === e.element.id.replace(/_label$/, "").replace(/^(?:after|choose|fork)_/, "")); if (n >= 0) show(root.querySelector(`[data-card="steps.${n}"]`)); });
        }
        const text = await answer.text();
        // One after the other: two drawings at once would leave half of each.
        drawing = drawing.catch(() => {}).then(async () => {
          if (mine !== shown) return;
          await viewer.importXML(text);
          viewer.get("canvas").zoom("fit-viewport", "auto");
          pane.dataset.drawn = "yes";
        });
        await drawing;
      } catch (error) { pane_note.textContent = "流程图没有画出来，请看下面的环节。"; }
    } else if (page === "licence") {
      if (bare) { pane_note.textContent = state.use || !state.title ? "选了现成的证照，或没有结果证照。" : `还画不出来：${await answer.text()}`; pane.replaceChildren(); return; }
      const picture = el("img", { alt: "证照版式预览", src: URL.createObjectURL(await answer.blob()) });
      pane.replaceChildren(picture);
      pane_note.textContent = "样本，没有签章。";
    }
  }

  const table = window.Grid({ root, lists, readonly, open, fresh, titled, ask, changed, state: () => state });

  form?.addEventListener("submit", (e) => {
    if (e.submitter?.dataset.then) form.elements.then.value = e.submitter.dataset.then;
    if (page === "licence" && !state.use && !state.title && !state.elements) state = {};
    if (page === "decision" && !state.use && !state.outputs) state = {};
    form.elements.content.value = JSON.stringify(state);
    keep(true);
    dirty = false;
  }, true);
  // Within the builder nothing is lost; whoever closes the window is asked.
  let inside = false;
  document.addEventListener("click", (e) => { if (e.target.closest("a[href]")) { inside = true; setTimeout(() => { inside = false; }, 1500); } }, true);
  window.addEventListener("beforeunload", (e) => { if (dirty && !inside) e.preventDefault(); });
  if (!readonly) brought_back();
  if (!readonly && page === "decision" && state.outputs) kept = state;
  draw();
  preview();
  root.dataset.ready = "yes";
  const wanted = decodeURIComponent(location.hash.replace(/^#at=/, ""));
  if (location.hash.startsWith("#at=") && wanted) { let place = wanted, node = null; while (place && !(node = root.querySelector(`[data-path="${CSS.escape(place)}"]`))) place = place.split(".").slice(0, -1).join("."); if (node) show(node); }
})();
