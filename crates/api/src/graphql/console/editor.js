// A text area that is painted: the text is typed into it, its colours lie behind.

const GRAPHQL = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|"(?:\\.|[^"\\\n])*"?)|(\$\w+)|(\b(?:query|mutation|subscription|fragment|on|true|false|null)\b)|(-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|(\b[A-Z]\w*\b)|([{}()[\]:!=@|&]|\.\.\.)/g;
const JSON_TEXT = /()("(?:\\.|[^"\\\n])*")(?=\s*:)|("(?:\\.|[^"\\\n])*"?)|(\b(?:true|false|null)\b)|(-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|()([{}[\]:,])/g;
const GRAPHQL_CLASSES = ["c", "s", "v", "w", "n", "t", "p"];
const JSON_CLASSES = ["c", "f", "s", "w", "n", "t", "p"];

function painted(text, pattern, classes) {
  const fragment = document.createDocumentFragment();
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (!match[0]) continue;
    fragment.append(text.slice(at, match.index));
    const group = match.slice(1).findIndex((part) => part);
    fragment.append(make("span", { class: classes[group] }, match[0]));
    at = match.index + match[0].length;
  }
  fragment.append(text.slice(at));
  return fragment;
}

class Editor {
  constructor(area, pattern, classes) {
    this.area = area;
    this.pattern = pattern;
    this.classes = classes;
    const code = area.closest(".code");
    this.paint = code.querySelector(".paint");
    this.numbers = code.querySelector(".numbers");
    area.addEventListener("input", () => this.render());
    area.addEventListener("keydown", (event) => this.keys(event));
    this.render();
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.render();
  }

  render() {
    const text = this.text;
    this.paint.replaceChildren(painted(text, this.pattern, this.classes), "\n");
    const lines = text.split("\n").length;
    this.numbers.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
  }

  insert(text, from = this.area.selectionStart, back = 0) {
    this.area.setRangeText(text, from, this.area.selectionEnd, "end");
    this.area.selectionStart = this.area.selectionEnd -= back;
    this.area.dispatchEvent(new Event("input"));
  }

  // Tab leaves the editor, as everywhere; indenting is Enter's work, and a brace brings its fellow.
  keys(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { selectionStart: start, selectionEnd: end, value } = this.area;
    const pairs = { "{": "}", "(": ")", "[": "]" };
    if (event.key === "Enter") {
      event.preventDefault();
      const line = value.slice(value.lastIndexOf("\n", start - 1) + 1, start);
      const indent = /^\s*/.exec(line)[0];
      const opens = /[{([]\s*$/.test(line);
      const closes = opens && /^\s*[})\]]/.test(value.slice(end));
      this.insert(`\n${indent}${opens ? "  " : ""}${closes ? `\n${indent}` : ""}`, start, closes ? indent.length + 1 : 0);
    } else if (pairs[event.key] && start === end && !/[\w"$]/.test(value[end] || "")) {
      event.preventDefault();
      this.insert(event.key + pairs[event.key], start, 1);
    } else if ("})]".includes(event.key) && start === end && value[start] === event.key) {
      event.preventDefault();
      this.area.selectionStart = this.area.selectionEnd = start + 1;
    }
  }
}

// Indents by brackets. What it does not understand it leaves as it is.
function tidy(text) {
  let depth = 0;
  const lines = text.replace(/\r/g, "").split("\n").map((line) => line.trim());
  return lines.map((line) => {
    const bare = line.replace(/"(?:\\.|[^"\\])*"/g, "").replace(/#.*/, "");
    const closing = /^[})\]]+/.exec(bare);
    const here = Math.max(0, depth - (closing ? closing[0].length : 0));
    depth = Math.max(0, depth + (bare.match(/[{([]/g) || []).length - (bare.match(/[})\]]/g) || []).length);
    return line ? "  ".repeat(here) + line : "";
  }).join("\n").replace(/\n{3,}/g, "\n\n").trim() + "\n";
}

// Where the caret is: the chain of field names from the operation's root, told by the braces before it.
function chainAt(text, caret) {
  const before = text.slice(0, caret).replace(/#[^\n]*/g, "").replace(/"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"/g, '""');
  const stack = [];
  let head = "";
  let round = 0;
  let argumentOf = null;
  for (const character of before) {
    if (character === "(") { if (!round++) argumentOf = lastName(head); continue; }
    if (character === ")") { round = Math.max(0, round - 1); if (!round) argumentOf = null; continue; }
    if (round) continue;
    if (character === "{") { stack.push(head.trim()); head = ""; }
    else if (character === "}") { stack.pop(); head = ""; }
    else head += character;
  }
  return { stack, argumentOf, word: /[\w]*$/.exec(before)[0], isSpread: /\.\.\.\s*\w*$/.test(before) };
}

const lastName = (head) => {
  const names = head.replace(/@\w+/g, "").match(/\w+/g);
  return names ? names.at(-1) : "";
};

function suggestions(schema, text, caret) {
  const { stack, argumentOf, word, isSpread } = chainAt(text, caret);
  if (!stack.length) return { word, found: [] };
  const kind = /^(mutation|subscription)\b/.exec(stack[0]);
  const fragment = /^fragment\s+\w+\s+on\s+(\w+)/.exec(stack[0]);
  let type = fragment ? schema.types.get(fragment[1]) : schema.root(kind ? kind[1] : "query");
  for (const head of stack.slice(1)) {
    const on = /\.\.\.\s*on\s+(\w+)$/.exec(head);
    type = on ? schema.types.get(on[1]) : schema.typeOf(schema.field(type, lastName(head)));
  }
  if (!type || isSpread) return { word, found: [] };
  const field = argumentOf && schema.field(type, argumentOf);
  const choices = argumentOf ? (field ? field.args : []) : type.fields || [];
  const wanted = word.toLowerCase();
  const found = choices.filter((choice) => choice.name.toLowerCase().startsWith(wanted) && choice.name !== word);
  found.sort((a, b) => a.name.length - b.name.length);
  return { word, found: found.slice(0, 40), isArgument: !!argumentOf };
}

