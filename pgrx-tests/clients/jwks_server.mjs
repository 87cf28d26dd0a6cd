// Serves a JWK set and a discovery document over https and http, with every kind of misbehaviour. The document of an
// issuer with the path /redirect, /slow and so on misbehaves in that way.
// usage: node jwks_server.mjs DIRECTORY   (with trusted.pem, unknown.pem, other-host.pem: key and certificate)
// Prints {trusted, unknown, other_host, http}, the addresses; then answers lines of JSON:
//   ["publish", document]    the answer of /jwks from now on
//   ["discover", document]   the discovery document of the issuer with the path /issuer from now on
//   ["requests"]             the number of requests up to now
// Each answer has the number of requests, and the largest number of requests at the same time.
// /after answers when somebody has asked for /jwks. /later answers after 20 ms.
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";

const directory = process.argv[2];
let published = "";
let discovered = "";
let requests = 0;
let open = 0;
let most_open = 0;
const held = [];

const json = { "content-type": "application/json" };
const answers = {
  "/jwks": (response) => {
    response.writeHead(200, json).end(published);
    for (const answer of held.splice(0)) answer();
  },
  "/after": (response) => held.push(() => response.writeHead(200, json).end(published)),
  "/later": (response) => setTimeout(() => response.writeHead(200, json).end(published), 20),
  "/issuer": (response) => response.writeHead(200, json).end(discovered),
  "/404": (response) => response.writeHead(404).end("not found"),
  "/500": (response) => response.writeHead(500, json).end(published),
  "/redirect": (response) => response.writeHead(302, { location: `${addresses.http}/jwks` }).end(),
  "/endless": (response) => {
    response.writeHead(200, json);
    response.on("close", () => clearInterval(timer));
    const timer = setInterval(() => response.write(" ".repeat(64 * 1024)), 1);
  },
  "/slow": (response) => {
    response.writeHead(200, json);
    response.on("close", () => clearInterval(timer));
    const timer = setInterval(() => response.write(" "), 200);
  },
  "/silent": () => {},
};
const serve = (request, response) => {
  requests += 1;
  open += 1;
  most_open = Math.max(most_open, open);
  response.on("close", () => (open -= 1));
  const path = request.url.replace("/.well-known/openid-configuration", "").split("?")[0];
  (answers[path] ?? answers["/404"])(response);
};

async function listen(server, scheme) {
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return `${scheme}://localhost:${server.address().port}`;
}
const secure = (name) => {
  const pem = readFileSync(join(directory, `${name}.pem`));
  return listen(createHttpsServer({ key: pem, cert: pem }, serve), "https");
};
const addresses = {
  trusted: await secure("trusted"),
  unknown: await secure("unknown"),
  other_host: await secure("other-host"),
  http: await listen(createHttpServer(serve), "http"),
};
console.log(JSON.stringify(addresses));
for await (const line of createInterface({ input: process.stdin })) {
  const [command, document] = JSON.parse(line);
  if (command === "publish") published = document;
  if (command === "discover") discovered = document;
  console.log(JSON.stringify({ requests, most_open }));
}
process.exit();
