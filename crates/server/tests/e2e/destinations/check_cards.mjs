// Reads cards, one JSON object a line; Microsoft's own library parses and renders each, with a Markdown processor that is
// not ours. Prints how many passed, and all the text that is seen.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { JSDOM } = require("jsdom");
const page = new JSDOM("<!doctype html><body></body>");
globalThis.window = page.window;
globalThis.document = page.window.document;
for (const name of Object.getOwnPropertyNames(page.window).filter((name) => /^(HTML\w*Element|Node)$/.test(name))) {
  globalThis[name] = page.window[name];
}
// The package calls itself a module, and its bundle is none.
const bundle = { exports: {} };
const source = readFileSync(new URL("node_modules/adaptivecards/dist/adaptivecards.js", import.meta.url), "utf8");
new Function("module", "exports", source)(bundle, bundle.exports);
const cards = bundle.exports;
const markdown = require("markdown-it")({ html: false, linkify: false });
cards.AdaptiveCard.onProcessMarkdown = (text, result) => {
  result.outputHtml = markdown.render(text);
  result.didProcess = true;
};

const marks = "a,em,strong,code,ul,ol,h1,h2,h3,s,img,blockquote,hr,table,script".split(",");
const foreign = marks.map((mark) => `.ac-textBlock ${mark}`).join(",");
let passed = 0;
let text = "";
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const { kind, body } = JSON.parse(line);
  if (kind !== "teams") continue;
  const context = new cards.SerializationContext();
  const card = new cards.AdaptiveCard();
  card.parse(body, context);
  const faults = [];
  for (let place = 0; place < context.eventCount; place++) faults.push(context.getEventAt(place).message);
  const found = card.validateProperties().validationEvents.map((event) => event.message);
  if (faults.length + found.length > 0) throw new Error(`${faults} ${found}: ${line}`);
  const shown = card.render();
  const marked = shown.querySelectorAll(foreign);
  if (marked.length > 0) throw new Error(`${marked[0].outerHTML}: ${line}`);
  text += shown.textContent + "\n";
  passed += 1;
}
console.log(JSON.stringify({ passed, text }));
