// The page: the key is kept in this page's memory and nowhere else.

const EXAMPLES = {
  "What is undelivered": ["query Undelivered {\n  org {\n    name\n    deliveryCounts { undelivered pending held deadLettered }\n    deliveries(first: 10) {\n      nodes {\n        id\n        state\n        event { type }\n        endpoint { url }\n        attempts { number result }\n      }\n    }\n  }\n}\n", {}],
  "Aegis: create a webhook": ["mutation CreateWebhook($input: WebhookInput!) {\n  createWebhook(input: $input) {\n    id\n    url\n    events\n    secret\n    active\n  }\n}\n", { input: { url: "https://example.com/webhook", events: ["VULNERABILITY_DETECTED", "POAM_OVERDUE"] } }],
  "Post an event": ["mutation Post($input: EventInput!) {\n  postEvent(input: $input) {\n    id\n    acceptedAt\n  }\n}\n", { input: { type: "vulnerability.created", data: { title: "Prototype pollution in lodash", severity: "high", cve_id: "CVE-2019-10744" } } }],
  "Endpoints": ["query Endpoints($after: String) {\n  org {\n    endpoints(first: 20, after: $after) {\n      nodes { id url dialect state events }\n      pageInfo { endCursor hasNextPage }\n    }\n  }\n}\n", {}],
  "Watch deliveries": ["subscription Deliveries {\n  deliveries {\n    id\n    state\n    event { type }\n    attempts { number result }\n  }\n}\n", {}],
};

const at = (id) => document.getElementById(id);
const query = new Editor(at("query"), GRAPHQL, GRAPHQL_CLASSES);
const variables = new Editor(at("variables"), JSON_TEXT, JSON_CLASSES);
const browser = new SchemaBrowser(at("schema"), at("trail"), at("search"));
let schema = null;
let running = null;

function say(text, mood) {
  at("state").textContent = text;
  at("state").className = `state ${mood || ""}`;
}

function address() {
  const org = at("org").value.trim();
  return "/graphql" + (org ? `?org=${encodeURIComponent(org)}` : "");
}

function send(body, accept, signal) {
  const headers = { "content-type": "application/json", accept };
  const key = at("key").value.trim();
  if (key) headers.authorization = `Bearer ${key}`;
  return fetch(address(), { method: "POST", headers, body: JSON.stringify(body), signal, credentials: "omit" });
}

async function loadSchema() {
  if (!at("key").value.trim()) return say("no key yet");
  say("asking …");
  try {
    const response = await send({ query: INTROSPECTION }, "application/json");
    const answer = await response.json();
    if (!response.ok || answer.errors) throw new Error(response.status === 401 ? "no such key" : answer.errors[0].message);
    schema = new Schema(answer.data.__schema);
    browser.show(schema);
    say("ready", "good");
  } catch (problem) {
    say(problem.message, "bad");
  }
}

function operations() {
  const bare = query.text.replace(/#[^\n]*/g, "");
  return [...bare.matchAll(/\b(query|mutation|subscription)\s+(\w+)/g)].map((match) => match[2]);
}

function renderOperations() {
  const names = operations();
  const select = at("operation");
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => make("option", {}, name)));
  if (names.includes(chosen)) select.value = chosen;
  select.disabled = names.length < 2;
}

function show(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  at("answer").replaceChildren(painted(text, JSON_TEXT, JSON_CLASSES));
}

function showFailure(text) {
  at("answer").replaceChildren(make("span", { class: "bad" }, text));
}

function setRunning(controller) {
  running = controller;
  at("run").classList.toggle("running", !!controller);
  at("run").lastElementChild.textContent = controller ? "Stop" : "Run";
}

async function run() {
  if (running) return running.abort();
  let given;
  try {
    given = JSON.parse(variables.text.trim() || "{}");
  } catch (problem) {
    return showFailure(`The variables are no JSON: ${problem.message}`);
  }
  const body = { query: query.text, variables: given };
  const name = at("operation").value;
  if (name) body.operationName = name;
  const chosen = name || operations()[0];
  const lasts = new RegExp(`\\bsubscription\\b\\s*${chosen || ""}`).test(query.text.replace(/#[^\n]*/g, ""));
  const controller = new AbortController();
  setRunning(controller);
  const began = performance.now();
  at("took").textContent = lasts ? "watching …" : "";
  try {
    const response = await send(body, lasts ? "text/event-stream" : "application/json", controller.signal);
    const isStream = (response.headers.get("content-type") || "").startsWith("text/event-stream");
    if (isStream) await follow(response);
    else show(await response.json());
    if (response.status === 401) say("no such key", "bad");
    if (!isStream) at("took").textContent = `${response.status} · ${Math.round(performance.now() - began)} ms`;
  } catch (problem) {
    if (problem.name === "AbortError") at("took").textContent = "stopped";
    else showFailure(problem.message);
  } finally {
    setRunning(null);
  }
}

// Server-sent events; the newest stands on top.
async function follow(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const answer = at("answer");
  answer.replaceChildren(make("span", { class: "quiet" }, "Waiting for something to happen."));
  let rest = "";
  let count = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n");
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (!lines.includes("event: next")) continue;
      if (!count++) answer.replaceChildren();
      const text = JSON.stringify(JSON.parse(data), null, 2);
      answer.prepend(painted(text, JSON_TEXT, JSON_CLASSES), make("hr", {}));
      at("took").textContent = `watching · ${count}`;
    }
  }
  at("took").textContent = `ended · ${count}`;
}

// Suggestions while typing.
const hints = at("hints");
let hinted = null;

function hideHints() {
  hints.hidden = true;
  hinted = null;
  query.area.removeAttribute("aria-activedescendant");
}

function renderHints(force) {
  if (!schema) return hideHints();
  const area = query.area;
  const { word, found, isArgument } = suggestions(schema, area.value, area.selectionStart);
  if (!found.length || (!word && !force)) return hideHints();
  hinted = { word, found, isArgument, at: 0 };
  hints.replaceChildren(...found.map((field, index) => {
    const item = make("li", { role: "option", id: `hint-${index}`, title: field.description || "" }, field.name, make("small", {}, typeText(field.type)));
    item.addEventListener("mousedown", (event) => { event.preventDefault(); hinted.at = index; takeHint(); });
    return item;
  }));
  const before = area.value.slice(0, area.selectionStart);
  const line = before.split("\n").length;
  const column = before.length - before.lastIndexOf("\n") - 1 - word.length;
  const code = area.closest(".code");
  hints.style.setProperty("top", `${code.offsetTop + 14 + line * 21.6 - code.scrollTop}px`);
  hints.style.setProperty("left", `${Math.max(46, 50 + column * 8.13 - code.scrollLeft)}px`);
  hints.hidden = false;
  markHint();
}

function markHint() {
  [...hints.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === hinted.at)));
  query.area.setAttribute("aria-activedescendant", `hint-${hinted.at}`);
  hints.children[hinted.at].scrollIntoView({ block: "nearest" });
}

function takeHint() {
  const { word, found, at: index, isArgument } = hinted;
  const start = query.area.selectionStart - word.length;
  hideHints();
  query.insert(found[index].name + (isArgument ? ": " : ""), start);
  hideHints();
}

query.area.addEventListener("input", () => { renderOperations(); renderHints(false); });
query.area.addEventListener("blur", hideHints);
query.area.addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key === " ") { event.preventDefault(); return renderHints(true); }
  if (!hinted) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    hinted.at = (hinted.at + (event.key === "ArrowDown" ? 1 : hinted.found.length - 1)) % hinted.found.length;
    markHint();
  } else if (event.key === "Enter") takeHint();
  else if (event.key === "Escape") hideHints();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
// The name under the caret, in the browser.
query.area.addEventListener("click", () => {
  if (!schema) return;
  const text = query.area.value;
  const caret = query.area.selectionStart;
  const word = /\w*$/.exec(text.slice(0, caret))[0] + /^\w*/.exec(text.slice(caret))[0];
  if (schema.types.has(word)) browser.open(word);
});

at("run").addEventListener("click", run);
at("pretty").addEventListener("click", () => { query.text = tidy(query.text); });
at("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(at("answer").textContent);
  at("took").textContent = "copied";
});
at("access").addEventListener("submit", (event) => { event.preventDefault(); loadSchema(); });
at("key").addEventListener("change", loadSchema);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); run(); }
  if (event.shiftKey && event.altKey && event.code === "KeyF") { event.preventDefault(); query.text = tidy(query.text); }
});

at("example").append(make("option", { value: "" }, "choose …"), ...Object.keys(EXAMPLES).map((name) => make("option", {}, name)));
at("example").addEventListener("change", () => {
  const example = EXAMPLES[at("example").value];
  if (!example) return;
  query.text = example[0];
  variables.text = JSON.stringify(example[1], null, 2);
  renderOperations();
  at("example").value = "";
});
query.text = EXAMPLES["What is undelivered"][0];
renderOperations();
at("key").focus();
