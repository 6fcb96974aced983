"use strict";
// The schema as introspection answers it, and the browser beside the editor.

const INTROSPECTION = `query Schema {
  __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason
        args { ...Value }
        type { ...Type }
      }
      inputFields { ...Value }
      interfaces { name }
      possibleTypes { name }
      enumValues(includeDeprecated: true) { name description }
    }
  }
}
fragment Value on __InputValue { name description defaultValue type { ...Type } }
fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`;

const typeText = (type) =>
  type.kind === "NON_NULL" ? typeText(type.ofType) + "!" : type.kind === "LIST" ? `[${typeText(type.ofType)}]` : type.name;
const typeName = (type) => (type.ofType ? typeName(type.ofType) : type.name);

class Schema {
  constructor(answer) {
    this.types = new Map(answer.types.filter((type) => !type.name.startsWith("__")).map((type) => [type.name, type]));
    this.roots = { query: answer.queryType, mutation: answer.mutationType, subscription: answer.subscriptionType };
  }

  root(operation) {
    const root = this.roots[operation];
    return root && this.types.get(root.name);
  }

  field(type, name) {
    return type && (type.fields || type.inputFields || []).find((field) => field.name === name);
  }

  typeOf(field) {
    return field && this.types.get(typeName(field.type));
  }

  search(words) {
    const wanted = words.toLowerCase();
    const found = [];
    for (const type of this.types.values()) {
      if (type.name.toLowerCase().includes(wanted)) found.push({ type });
      for (const field of type.fields || type.inputFields || []) {
        if (field.name.toLowerCase().includes(wanted)) found.push({ type, field });
      }
    }
    const rank = ({ type, field }) => ((field || type).name.toLowerCase().startsWith(wanted) ? 0 : 1) + (field ? 0.5 : 0);
    return found.sort((a, b) => rank(a) - rank(b)).slice(0, 60);
  }
}

// Everything is made as text: nothing of the schema or of an answer is ever read as markup.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

class SchemaBrowser {
  constructor(place, trail, search) {
    this.place = place;
    this.trail = trail;
    this.search = search;
    this.path = [];
    this.schema = null;
    search.addEventListener("input", () => this.render());
  }

  show(schema) {
    this.schema = schema;
    this.path = this.path.filter((name) => schema.types.has(name));
    this.render();
  }

  open(name) {
    if (!this.schema || !this.schema.types.has(name)) return;
    this.search.value = "";
    const at = this.path.indexOf(name);
    this.path = at >= 0 ? this.path.slice(0, at + 1) : [...this.path, name].slice(-4);
    this.render();
    this.place.scrollTop = 0;
  }

  link(name, text) {
    return make("button", { type: "button", class: "link", onclick: () => this.open(name) }, text || name);
  }

  typeLink(type) {
    if (type.kind === "NON_NULL") return [...this.typeLink(type.ofType), "!"];
    if (type.kind === "LIST") return ["[", ...this.typeLink(type.ofType), "]"];
    return [this.schema.types.has(type.name) ? this.link(type.name) : type.name];
  }

  entry(field) {
    const args = field.args && field.args.length ? field.args.flatMap((arg, at) => [
      at ? ", " : "(", make("span", { class: "arg" }, arg.name), ": ", ...this.typeLink(arg.type),
    ]) : [];
    const term = make("dt", {}, make("span", { class: "name" }, field.name), ...args, args.length ? ")" : "", ": ",
      ...this.typeLink(field.type), field.defaultValue ? ` = ${field.defaultValue}` : "");
    return [term, field.description ? make("dd", {}, field.description) : null];
  }

  render() {
    if (!this.schema) return;
    const words = this.search.value.trim();
    this.trail.replaceChildren();
    if (words) return this.place.replaceChildren(...this.found(words));
    const crumbs = [make("button", { type: "button", class: "link", onclick: () => { this.path = []; this.render(); } }, "Schema")];
    for (const name of this.path) crumbs.push(make("span", { "aria-hidden": "true" }, "›"), this.link(name));
    this.trail.append(...crumbs);
    const type = this.schema.types.get(this.path.at(-1));
    this.place.replaceChildren(...(type ? this.type(type) : this.start()));
  }

  start() {
    const roots = Object.entries(this.schema.roots).filter(([, root]) => root);
    const titles = { query: "Read", mutation: "Write", subscription: "Watch" };
    const shown = roots.flatMap(([kind, root]) => {
      const type = this.schema.types.get(root.name);
      const fields = type.fields.map((field) => make("dt", {}, make("span", { class: "name" }, field.name), ": ", ...this.typeLink(field.type)));
      return [make("h4", {}, `${titles[kind]}: `, this.link(root.name)), make("dl", {}, ...fields)];
    });
    const others = [...this.schema.types.keys()].filter((name) => !roots.some(([, root]) => root.name === name)).sort();
    return [...shown, make("h4", {}, "Types"), make("dl", {}, ...others.map((name) => make("dt", {}, this.link(name))))];
  }

  type(type) {
    const kinds = { OBJECT: "type", INPUT_OBJECT: "input", ENUM: "enum", SCALAR: "scalar", INTERFACE: "interface", UNION: "union" };
    const parts = [make("h3", {}, make("span", { class: "w" }, `${kinds[type.kind]} `), type.name)];
    if (type.description) parts.push(make("p", {}, type.description));
    const fields = type.fields || type.inputFields;
    if (fields) parts.push(make("dl", {}, ...fields.flatMap((field) => this.entry(field)).filter(Boolean)));
    if (type.enumValues) {
      parts.push(make("dl", {}, ...type.enumValues.flatMap((value) => [
        make("dt", {}, value.name), value.description ? make("dd", {}, value.description) : null]).filter(Boolean)));
    }
    if (type.possibleTypes) parts.push(make("h4", {}, "Is one of"), make("dl", {}, ...type.possibleTypes.map((one) => make("dt", {}, this.link(one.name)))));
    return parts;
  }

  found(words) {
    const found = this.schema.search(words);
    if (!found.length) return [make("p", {}, "Nothing is named so.")];
    return [make("dl", {}, ...found.map(({ type, field }) => make("dt", {}, this.link(type.name), field ? "." : "",
      field ? make("span", { class: "name" }, field.name) : "")))];
  }
}

