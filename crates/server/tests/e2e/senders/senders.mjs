// Standard Webhooks by the reference library and by svix's; GitHub's by its own.
//
// send URL SECRET     posts one message each, again, and forged: one line of JSON with the answers
// verify SECRET       reads {"headers": …, "body": …} from stdin and has both verify it
// github URL SECRET   as send, signed as GitHub signs
// octokit SECRET      reads {"signature": …, "body": …} from stdin and has GitHub's library verify it

import { readFileSync } from "node:fs";
import { Webhooks } from "@octokit/webhooks";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const libraries = { standardwebhooks: Standard, svix: Svix };

async function post(url, headers, body) {
  const answer = await fetch(url, { method: "POST", headers, body });
  return [answer.status, await answer.json()];
}

async function send(url, secret) {
  const seen = {};
  for (const [name, Library] of Object.entries(libraries)) {
    const now = new Date();
    const id = "msg_node_" + name;
    const body = JSON.stringify({ type: "acme.sent", data: { by: name, text: "Schwäche \u{1f600}" } });
    const headers = {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
      "webhook-signature": new Library(secret).sign(id, now, body),
    };
    const forged = { ...headers, "webhook-id": id + "x" };
    seen[name] = [await post(url, headers, body), await post(url, headers, body), await post(url, forged, body)];
  }
  return seen;
}

function verify(secret) {
  const { headers, body } = JSON.parse(readFileSync(0, "utf8"));
  const seen = {};
  for (const [name, Library] of Object.entries(libraries)) {
    seen[name] = new Library(secret).verify(body, headers).type;
  }
  return seen;
}

async function github(url, secret) {
  const body = JSON.stringify({ zen: "Schwäche \u{1f600}", hook_id: 7 });
  const headers = {
    "content-type": "application/json",
    "x-github-event": "ping",
    "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "x-hub-signature-256": await new Webhooks({ secret }).sign(body),
  };
  const forged = { ...headers, "x-hub-signature-256": await new Webhooks({ secret: "another" }).sign(body) };
  return [await post(url, headers, body), await post(url, headers, body), await post(url, forged, body)];
}

async function octokit(secret) {
  const { signature, body } = JSON.parse(readFileSync(0, "utf8"));
  const webhooks = new Webhooks({ secret });
  return [await webhooks.verify(body, signature), await webhooks.verify(body + " ", signature)];
}

const [mode, ...rest] = process.argv.slice(2);
console.log(JSON.stringify(await { send, verify, github, octokit }[mode](...rest)));
