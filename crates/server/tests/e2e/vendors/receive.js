// Receivers for Snyk and Aegis as the vendors' documents describe them, with Node's standard library alone.
//
// Snyk's newer document hashes the body as received, its older one JSON.stringify of the parsed body: both must accept.
// Aegis hashes the body as received and compares in constant time. Prints the port first, then a line for each webhook.

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");

const hmac = (secret, text) => "sha256=" + crypto.createHmac("sha256", secret).update(text, "utf8").digest("hex");

const verifiers = {
  "/snyk": (secret, body, headers) =>
    headers["x-hub-signature"] === hmac(secret, body) &&
    headers["x-hub-signature"] === hmac(secret, JSON.stringify(JSON.parse(body))),
  "/aegis": (secret, body, headers) =>
    crypto.timingSafeEqual(Buffer.from(headers["x-aegis-signature"]), Buffer.from(hmac(secret, body))),
};

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    const secret = fs.readFileSync(process.argv[2], "utf8");
    const verified = verifiers[request.url](secret, body, request.headers);
    response.writeHead(verified ? 200 : 401).end();
    const event = request.headers["x-snyk-event"] ?? JSON.parse(body).event;
    console.log(verified ? "verified" : "refused", event);
  });
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
