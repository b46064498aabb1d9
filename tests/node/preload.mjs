// Loaded into the client before its own code (node --import): its origin becomes the sandbox, and nothing else is
// within its reach, whatever it may try.
import net from "node:net";
import { syncBuiltinESMExports } from "node:module";

const theirs = "https://api.instantly.ai";
const ours = process.env.SANDBOX_URL;
const loopback = new Set(["127.0.0.1", "::1", "localhost"]);

if (!ours || !loopback.has(new URL(ours).hostname)) throw new Error(`SANDBOX_URL is no loopback address: ${ours}`);

const fetchAnywhere = globalThis.fetch;
globalThis.fetch = (resource, options) => {
  const url = String(resource instanceof Request ? resource.url : resource);
  if (!url.startsWith(`${theirs}/`)) throw new Error(`the client may not fetch ${url}`);
  return fetchAnywhere(ours + url.slice(theirs.length), options);
};

// Everything ends in a socket, fetch as well: this is the guard that cannot be walked around.
const connectAnywhere = net.Socket.prototype.connect;
net.Socket.prototype.connect = function connect(...parameters) {
  const flat = parameters.flat();
  const target = typeof flat[0] === "object" ? flat[0] : { port: flat[0], host: flat[1] };
  if (!target.path && !loopback.has(target.host ?? "localhost")) {
    throw new Error(`the client may not connect to ${target.host}`);
  }
  return connectAnywhere.apply(this, parameters);
};
syncBuiltinESMExports();
