// Judges our paths and tables with bpmnlint, dmnlint and feelin (npm), unchanged.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.JUDGES, "judge.js"));
const text = await new Promise((done) => {
  let all = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (part) => (all += part));
  process.stdin.on("end", () => done(all));
});
const asked = JSON.parse(text);
const load = async (name) => import("file://" + require.resolve(name));

async function bpmn() {
  const { BpmnModdle } = await load("bpmn-moddle");
  const { Linter } = require("bpmnlint");
  const NodeResolver = require("bpmnlint/lib/resolver/node-resolver");
  const out = {};
  for (const [name, xml] of Object.entries(asked.bpmn)) {
    // Its rules remember what they saw: one linter for each file.
    // An inclusive gateway is BPMN 2.0; that it is discouraged is a matter of taste.
    const config = { extends: "bpmnlint:recommended", rules: { "no-inclusive-gateway": "off" } };
    const linter = new Linter({ resolver: new NodeResolver({ require }), config });
    const { rootElement, warnings } = await new BpmnModdle().fromXML(xml);
    const found = await linter.lint(rootElement);
    out[name] = [
      ...warnings.map((w) => `warning: ${w.message}`),
      ...Object.entries(found).flatMap(([rule, all]) => all.map((r) => `${rule}: ${r.id}: ${r.message}`)),
    ];
  }
  return out;
}

async function dmn() {
  const DmnModdle = require("dmn-moddle");
  const Linter = require("dmnlint/lib/linter");
  const NodeResolver = require("dmnlint/lib/resolver/node-resolver");
  const config = { extends: "dmnlint:recommended" };
  const linter = new Linter({ resolver: new NodeResolver({ require }), config });
  const out = {};
  for (const [name, xml] of Object.entries(asked.dmn)) {
    const moddle = new (DmnModdle.default || DmnModdle)();
    const { rootElement, warnings } = await new Promise((done, failed) =>
      moddle.fromXML(xml, "dmn:Definitions", (error, root, context) =>
        error ? failed(error) : done({ rootElement: root, warnings: context.warnings || [] })));
    const found = await linter.lint(rootElement);
    out[name] = [
      ...warnings.map((w) => `warning: ${w.message}`),
      ...Object.entries(found).flatMap(([rule, all]) => all.map((r) => `${rule}: ${r.id}: ${r.message}`)),
    ];
  }
  return out;
}

async function feel() {
  const { evaluate, unaryTest } = await load("feelin");
  const plain = (value) => (value === undefined || value === null ? null : typeof value === "object" && !Array.isArray(value) ? String(value.toISO ? value.toISO() : value) : value);
  return {
    expressions: asked.expressions.map((e) => {
      try { const r = evaluate(e, {}); return plain(r && typeof r === "object" && "value" in r ? r.value : r); } catch (error) { return `! ${error.message}`; }
    }),
    tests: asked.tests.map(([value, test]) => {
      try { const r = unaryTest(test, { "?": value }); const v = r && typeof r === "object" && "value" in r ? r.value : r; return v === true; } catch (error) { return `! ${error.message}`; }
    }),
  };
}

process.stdout.write(JSON.stringify({ bpmn: await bpmn(), dmn: await dmn(), feel: await feel() }) + "\n");
