// Choosing: what would be written in a language of its own, put together by choosing: a condition, a
// cell of a decision table, working days, how numbers are made. What is too intricate is shown as text.
"use strict";
window.Choosing = (() => {
  const el = (tag, attrs = {}, ...inside) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attrs)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "text") node.textContent = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const one of inside.flat()) if (one) node.append(one);
    return node;
  };
  const select = (label, pairs, now, own, change) => {
    const node = el("select", { "aria-label": label, ...own, onchange: (e) => change(e.target.value) });
    for (const [value, title] of pairs) node.append(el("option", { value, text: title, selected: String(value) === String(now) }));
    return node;
  };
  const text = (label, now, own, change) => {
    const node = el("input", { type: "text", autocomplete: "off", "aria-label": label, ...own, oninput: (e) => change(e.target.value.trim()) });
    node.value = now ?? "";
    return node;
  };

  // ---- a condition: facts compared with values, all of them or any of them -----------------------
  const OPS = { choice: [["==", "是"], ["!=", "不是"]], text: [["==", "是"], ["!=", "不是"]], boolean: [["==", "是"], ["!=", "不是"]], number: [["==", "等于"], ["!=", "不等于"], ["<", "小于"], ["<=", "不超过"], [">", "大于"], [">=", "不少于"]] };
  OPS.date = OPS.number;
  const ONE = /^\s*([A-Za-z_][\w.]*)\s*(==|!=|<=|>=|<|>)\s*(?:'([^'\\]*)'|"([^"\\]*)"|(-?\d+(?:\.\d+)?)|(True|False))\s*$/;
  const read = (expression) => {
    for (const [join, word] of [[/ and /, "and"], [/ or /, "or"]]) {
      const parts = expression.split(join);
      if (parts.length > 1 && parts.some((p) => / (?:and|or) |[()]/.test(p))) continue;
      const rows = parts.map((p) => ONE.exec(p));
      if (rows.every(Boolean)) return { word, rows: rows.map((m) => ({ name: m[1], op: m[2], value: m[3] ?? m[4] ?? m[5] ?? m[6] })) };
    }
    return null;
  };
  const literal = (fact, value) => (fact?.[2] === "number" && /^-?\d+(\.\d+)?$/.test(value) ? value : fact?.[2] === "boolean" ? (value === "True" ? "True" : "False") : `'${String(value).replace(/['\\]/g, "")}'`);
  const write = (told, facts) => told.rows.filter((r) => r.name).map((r) => `${r.name} ${r.op} ${literal(facts.find((f) => f[0] === r.name), r.value)}`).join(` ${told.word} `);
  // `now` is the expression, `facts` are [name, title, kind, choices]; `change(expression, again)`.
  function condition({ label, now, facts, empty, readonly, path, change }) {
    const box = el("fieldset", { class: "bset bwhen" }, el("legend", { text: label }));
    const told = now ? read(now) : { word: "and", rows: [] };
    if (!told) {
      box.append(text(`${label}（写法）`, now, { class: "mono", disabled: readonly, "data-focus": path }, (v) => change(v)), el("p", { class: "help", text: "这个条件写得比较复杂，只能改文字；清空以后可以重新选。" }));
      return box;
    }
    if (!told.rows.length) box.append(el("p", { class: "muted", text: empty || "总是" }));
    told.rows.forEach((row, n) => {
      const fact = facts.find((f) => f[0] === row.name), kind = fact?.[2] || "text", name = `${label} 第 ${n + 1} 个`;
      const save = (again = true) => change(write(told, facts), again), own = (what) => ({ disabled: readonly, "data-focus": `${path}.${n}.${what}` });
      const pairs = facts.map(([v, t]) => [v, t]);
      if (!fact) pairs.unshift([row.name, row.name ? `${row.name}（找不到）` : "请选择"]);
      const line = el("div", { class: "bline3" });
      if (n) line.append(n === 1 ? select("几个条件之间", [["and", "而且"], ["or", "或者"]], told.word, own("word"), (v) => { told.word = v; save(); }) : el("span", { class: "muted", text: told.word === "and" ? "而且" : "或者" }));
      line.append(select(`${name}看什么`, pairs, row.name, own("name"), (v) => { const next = facts.find((f) => f[0] === v); row.name = v; row.op = "=="; row.value = next?.[3]?.[0]?.[0] ?? (next?.[2] === "boolean" ? "True" : next?.[2] === "number" ? "0" : ""); save(); }));
      line.append(select(`${name}怎样比`, OPS[kind] || OPS.text, row.op, own("op"), (v) => { row.op = v; save(); }));
      if (fact?.[3]?.length) {
        const listed = fact[3].some(([v]) => String(v) === row.value) ? fact[3] : [[row.value, row.value ? `${row.value}（不在可选之列）` : "请选择"], ...fact[3]];
        line.append(select(`${name}的值`, listed, row.value, own("value"), (v) => { row.value = v; save(); }));
      } else if (kind === "boolean") line.append(select(`${name}的值`, [["True", "是"], ["False", "否"]], row.value, own("value"), (v) => { row.value = v; save(); }));
      else line.append(text(`${name}的值`, row.value, { ...own("value"), inputmode: kind === "number" ? "decimal" : undefined, placeholder: kind === "date" ? "2026-01-31" : undefined }, (v) => { row.value = v; save(false); }));
      if (!readonly) line.append(el("button", { type: "button", class: "btn small quiet", "aria-label": `去掉${name}条件`, text: "×", onclick: () => { told.rows.splice(n, 1); save(); } }));
      box.append(line);
    });
    if (!readonly) box.append(facts.length ? el("button", { type: "button", class: "btn small", text: told.rows.length ? "＋ 再加一个条件" : "＋ 加一个条件", onclick: () => { const f = facts[0]; told.rows.push({ name: f[0], op: "==", value: f[3]?.[0]?.[0] ?? (f[2] === "number" ? "0" : f[2] === "boolean" ? "True" : "") }); change(write(told, facts), true); } }) : el("p", { class: "muted small", text: "还没有可以用作条件的问题。" }));
    return box;
  }

  // ---- a cell of a decision table ------------------------------------------------------------------
  const NUMBER = [["-", "不限"], ["=", "等于"], ["<", "小于"], ["<=", "不超过"], [">", "大于"], [">=", "不少于"], ["[]", "从…到…"]];
  const DATE = [["-", "不限"], ["<", "早于"], ["<=", "不晚于"], [">", "晚于"], [">=", "不早于"], ["[]", "从…到…"]];
  const bare = (v) => v.replace(/^"(.*)"$/, "$1");
  const plain = (kind, v) => (kind === "date" ? (/^date\("([^"]*)"\)$/.exec(v) || [])[1] : /^-?\d+(\.\d+)?$/.test(v) ? v : undefined);
  const parse = (kind, choices, raw) => {
    const cell = String(raw ?? "-").trim() || "-";
    if (cell === "-") return { op: "-" };
    if (choices.length) {
      const not = /^not\((.*)\)$/.exec(cell), value = bare((not ? not[1] : cell).trim());
      return choices.some(([v]) => String(v) === value) ? { op: not ? "!" : "=", a: value } : null;
    }
    if (kind === "boolean") return ["true", "false"].includes(cell) ? { op: "=", a: cell } : null;
    if (kind === "number" || kind === "date") {
      const range = /^\[\s*(.+?)\s*\.\.\s*(.+?)\s*\]$/.exec(cell), test = /^(<=|>=|<|>)?\s*(.+)$/.exec(cell);
      if (range) { const [a, b] = [plain(kind, range[1]), plain(kind, range[2])]; return a !== undefined && b !== undefined ? { op: "[]", a, b } : null; }
      const a = plain(kind, test[2]);
      return a === undefined ? null : { op: test[1] || "=", a };
    }
    const not = /^not\(([^(),]*)\)$/.exec(cell), value = bare((not ? not[1] : cell).trim());
    return /[,()<>[\]"]/.test(value) ? null : { op: not ? "!" : "=", a: value };
  };
  const made = (kind, { op, a = "", b = "" }) => {
    const v = (x) => (kind === "date" ? `date("${x}")` : x);
    if (op === "-" || (a === "" && op !== "[]")) return "-";
    if (op === "[]") return a !== "" && b !== "" ? `[${v(a)}..${v(b)}]` : a !== "" ? `>= ${v(a)}` : "-";
    if (op === "!") return `not(${v(a)})`;
    return op === "=" ? v(a) : `${op} ${v(a)}`;
  };
  const intricate = new Set();
  // One condition of a rule; `change(cell, again)`.
  function cell({ label, now, kind, choices, readonly, path, change }) {
    const told = intricate.has(path) ? null : parse(kind, choices, now), box = el("div", { class: "bcell" });
    const own = (what) => ({ disabled: readonly, "data-focus": `${path}${what}` });
    if (!told) {
      const written = text(`${label}（写法）`, now, { class: "mono", ...own("") }, (v) => change(v || "-", false));
      box.append(written);
      if (!readonly) box.append(el("button", { type: "button", class: "bswap", text: "改为选择", onclick: () => { intricate.delete(path); change(parse(kind, choices, written.value) ? written.value || "-" : "-", true); } }));
      return box;
    }
    const set = (more, again) => { Object.assign(told, more); change(made(kind, told), again); };
    let pairs;
    if (choices.length) pairs = [["-", "不限"], ...choices.map(([v, t]) => [`=${v}`, t]), ...choices.map(([v, t]) => [`!${v}`, `不是${t}`])];
    else if (kind === "boolean") pairs = [["-", "不限"], ["=true", "是"], ["=false", "否"]];
    else pairs = kind === "number" ? NUMBER : kind === "date" ? DATE : [["-", "不限"], ["=", "是"], ["!", "不是"]];
    const listed = choices.length || kind === "boolean";
    const op = select(label, [...pairs, ["?", "其他写法…"]], listed && told.op !== "-" ? `${told.op}${told.a}` : told.op, own(".op"), (v) => {
      if (v === "?") { intricate.add(path); change(now || "-", true); }
      else if (listed) set(v === "-" ? { op: "-" } : { op: v[0], a: v.slice(1) }, true);
      else { told.op = v; if (v === "-") change("-", true); else { pending.set(path, v); change(made(kind, told), true); } }
    });
    box.append(op);
    const shown = pending.has(path) && told.op === "-" ? pending.get(path) : told.op;
    if (!listed && shown !== "-") {
      op.value = shown;
      told.op = shown;
      const field = (which, name) => { const node = text(`${label}${name}`, told[which], { ...own(`.${which}`), type: kind === "date" ? "date" : "text", inputmode: kind === "number" ? "decimal" : undefined }, (v) => { told[which] = v; change(made(kind, told), false); }); return node; };
      box.append(field("a", "的值"));
      if (shown === "[]") box.append(field("b", "到"));
    }
    return box;
  }
  const pending = new Map(); // a way of comparing that was chosen and has no value yet

  // ---- working days, numbers of licences -------------------------------------------------------------
  function days({ label, now, readonly, path, id, change }) {
    const named = now === undefined || now === null ? "" : ["promised_days", "legal_days"].includes(now) ? now : "n";
    const box = el("div", { class: "bdays" });
    box.append(select(label, [["", "不计时限"], ["promised_days", "承诺时限（事项要素里的）"], ["legal_days", "法定时限（事项要素里的）"], ["n", "自己定"]], named, { id, disabled: readonly, "data-focus": path }, (v) => change(v === "" ? undefined : v === "n" ? 5 : v, true)));
    if (named === "n") box.append(text(`${label}（工作日）`, now, { inputmode: "numeric", disabled: readonly, "data-focus": `${path}.n` }, (v) => change(/^\d+$/.test(v) ? Number(v) : v, false)), el("span", { class: "muted", text: "个工作日" }));
    return box;
  }
  function numbering({ label, now, readonly, path, change }) {
    const told = /^([A-Za-z0-9-]*)(\{year\})?\{serial:0(\d)\}$/.exec(now || ""), box = el("fieldset", { class: "bset" }, el("legend", { text: label }));
    if (now && !told) { box.append(text(label, now, { class: "mono", disabled: readonly, "data-focus": path }, (v) => change(v, false))); return box; }
    const parts = { prefix: told?.[1] ?? "", year: told ? Boolean(told[2]) : true, width: told?.[3] ?? "5" };
    const example = el("p", { class: "help" });
    const say = () => { example.textContent = `例：${parts.prefix}${parts.year ? new Date().getFullYear() : ""}${"1".padStart(Number(parts.width), "0")}`; };
    const save = (again) => { say(); change(`${parts.prefix}${parts.year ? "{year}" : ""}{serial:0${parts.width}}`, again); };
    const year = el("input", { type: "checkbox", disabled: readonly, "data-focus": `${path}.year`, onchange: (e) => { parts.year = e.target.checked; save(false); } });
    year.checked = parts.year;
    const prefix = text("编号开头的字母", parts.prefix, { disabled: readonly, "data-focus": `${path}.prefix`, maxlength: "10" }, (v) => { parts.prefix = v.replace(/[^A-Za-z0-9-]/g, ""); save(false); });
    box.append(el("div", { class: "bline3" }, el("span", { class: "muted", text: "开头" }), prefix, el("label", { class: "check" }, year, el("span", { text: "带年份" })), select("序号几位", ["3", "4", "5", "6", "7", "8"].map((n) => [n, `${n} 位序号`]), parts.width, { disabled: readonly, "data-focus": `${path}.width` }, (v) => { parts.width = v; save(false); })), example);
    say();
    return box;
  }
  return { el, cell, condition, days, numbering };
})();
