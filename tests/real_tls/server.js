// An HTTPS server: server.js PORT OPTIONS-AS-JSON. Its certificate and key are in the folder.
const fs = require("fs");
const { long, ...options } = JSON.parse(process.argv[3]);
const read = (name) => fs.readFileSync(name);
const files = { cert: read("chain"), key: read("key"), ca: read("clients") };
require("https")
  .createServer({ ...files, ...options }, (request, response) => {
    request.resume();
    request.on("end", () => {
      response.statusCode = request.socket.isSessionReused() ? 202 : 200;
      response.end("x".repeat(long ? 10000 : 2));
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
