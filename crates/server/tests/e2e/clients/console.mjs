// The console at /graphql in a real browser: key, schema, suggestions, run, a stream, by keyboard alone where it can be.
// Prints what it saw as one line of JSON; screenshots go to the folder in SCREENSHOTS, where there is one.

import { chromium } from "playwright-core";

const [address, key, browserPath] = process.argv.slice(2);
const folder = process.env.SCREENSHOTS;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: browserPath, args: flags });
const faults = [];
const shot = async (page, name) => folder && page.screenshot({ path: `${folder}/${name}.png` });

async function open(colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => request.url().startsWith(`http://${address}/`) || request.url().startsWith("data:") || faults.push(`asks ${request.url()}`));
  await page.goto(`http://${address}/graphql`);
  return page;
}

const page = await open("light");
const seen = {};
// The caret stands in the key's field: nothing else is needed to begin.
await page.keyboard.type(key);
await page.keyboard.press("Tab");
await page.keyboard.type("acme");
await page.keyboard.press("Enter");
await page.waitForSelector(".state.good");
seen.schema = await page.locator("#schema").innerText();
await page.locator("#query").focus();
await page.keyboard.press("Control+Enter");
await page.waitForFunction(() => document.getElementById("took").textContent.startsWith("200"));
seen.answer = await page.locator("#answer").innerText();
await shot(page, "light");
// A suggestion is taken by the keyboard.
await page.locator("#query").fill("{ org { end");
await page.locator("#query").press("End");
await page.keyboard.type("p");
await page.waitForSelector("#hints li");
seen.hint = await page.locator("#hints li").first().innerText();
await shot(page, "hints");
await page.keyboard.press("Enter");
seen.taken = await page.locator("#query").inputValue();
// What an answer holds is text, whatever it holds.
await page.selectOption("#example", "Post an event");
await page.locator("#variables").fill(JSON.stringify({ input: { type: "acme.thing", data: { title: "<img src=x onerror=alert(1)>" } } }));
await page.click("#run");
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("acceptedAt"));
await page.locator("#query").fill("{ org { events(first: 1) { nodes { dataText } } } }");
await page.click("#run");
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("onerror"));
seen.images = await page.locator("#answer img").count();
// The schema browser.
await page.locator("#search").fill("createWebhook");
await page.locator("#schema button.link").first().click();
seen.browsed = await page.locator("#schema h3").innerText();
// A stream.
await page.locator("#query").fill('subscription { events(types: ["acme.live"]) { type } }');
await page.click("#run");
await page.waitForFunction(() => document.getElementById("took").textContent.startsWith("watching"));
await page.waitForTimeout(300);
await page.evaluate(([key]) => fetch("/api/v1/orgs/acme/events", { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: '{"type":"acme.live","data":{}}' }), [key]);
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("acme.live"));
await page.click("#run");
await page.waitForFunction(() => document.getElementById("took").textContent === "stopped");
seen.stored = await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length);

const dark = await open("dark");
await dark.keyboard.type(key);
await dark.keyboard.press("Enter");
await dark.waitForSelector(".state.good, .state.bad");
await dark.selectOption("#example", "Aegis: create a webhook");
await dark.locator("#org").fill("acme");
await dark.locator("#key").press("Enter");
await dark.waitForSelector(".state.good");
await dark.locator("#query").focus();
await dark.keyboard.press("Control+Enter");
await dark.waitForFunction(() => document.getElementById("answer").textContent.includes("createWebhook"));
await dark.locator("#search").fill("Webhook");
await shot(dark, "dark");
await dark.setViewportSize({ width: 420, height: 900 });
seen.overflows = await dark.evaluate(() => document.documentElement.scrollWidth > 420);
await shot(dark, "narrow");
const stranger = await open("light");
await stranger.keyboard.type("wrong-key");
await stranger.keyboard.press("Enter");
await stranger.waitForSelector(".state.bad");
seen.stranger = await stranger.locator("#state").innerText();
// The browser itself tells of a 400 or 401 on its console.
seen.faults = faults.filter((fault) => !/status of 40[01]/.test(fault));
await browser.close();
console.log(JSON.stringify(seen));
