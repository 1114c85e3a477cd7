// Reads what pilot-webhookd sends with the official CloudEvents library.
//
// usage: node check.mjs DAEMON EVENTS, in a folder where the library is installed
import assert from "node:assert";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { promisify } from "node:util";

const { HTTP } = createRequire(`${process.cwd()}/`)("cloudevents");
const [daemon, path] = process.argv.slice(2);
const captured = readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const run = promisify(execFile);

async function check(...options) {
    const requests = [];
    const server = createServer(async (request, response) => {
        const pieces = [];
        for await (const piece of request) pieces.push(piece);
        requests.push({ headers: request.headers, body: Buffer.concat(pieces).toString() });
        response.writeHead(204).end();
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const url = `http://127.0.0.1:${server.address().port}/`;
    await run(daemon, ["run", "--events", path, "--webhook", url, ...options]);
    server.close();
    const events = requests.flatMap((request) => HTTP.toEvent(request));
    assert.equal(events.length, captured.length);
    events.forEach((event, at) => {
        const original = captured[at];
        // The library does not decode percent signs in headers.
        assert.equal(options[1] === "cloudevents-binary" ? decodeURIComponent(event.type) : event.type, original.topic);
        assert.equal(event.source, `urn:pilot:node:${original.node_id}`);
        assert.ok(event.id.startsWith(`${original.node_id}-`));
        assert.equal(Date.parse(event.time), Date.parse(original.timestamp));
        assert.deepEqual(event.data || undefined, original.data ?? undefined);
    });
    console.log(`node, ${options.join(" ")}: ${events.length} events`);
}

await check("--format", "cloudevents");
await check("--format", "cloudevents", "--batch", "10");
await check("--format", "cloudevents-binary");
