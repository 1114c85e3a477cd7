// Verifies POSTs with the standard's library for JavaScript, in the folder $NODE_MODULES. Prints its port; the argument
// is the file with the key.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { Webhook } = createRequire(`${process.env.NODE_MODULES}/`)("standardwebhooks");
const webhook = new Webhook(readFileSync(process.argv[2], "ascii").trim());
const stranger = new Webhook(`whsec_${randomBytes(32).toString("base64")}`);

function isTaken(by, body, headers) {
  try {
    by.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

// What is wrong with a message, or with the verdict on one that was changed.
function problem(body, headers) {
  if (!isTaken(webhook, body, headers)) return "it is not verified";
  if (isTaken(stranger, body, headers)) return "it is verified with another key";
  if (isTaken(webhook, `${body} `, headers)) return "it is verified with another body";
  const at = Number(headers["webhook-timestamp"]);
  for (const [name, value] of [
    ["webhook-timestamp", `${at - 301}`],
    ["webhook-timestamp", `${at + 1}`],
    ["webhook-id", `${headers["webhook-id"]}0`],
  ]) {
    if (isTaken(webhook, body, { ...headers, [name]: value })) return `it is verified with another ${name}`;
  }
  return null;
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const wrong = problem(Buffer.concat(chunks).toString(), request.headers);
    if (wrong) console.error(wrong);
    response.writeHead(wrong ? 400 : 204, { "Content-Length": 0 }).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
