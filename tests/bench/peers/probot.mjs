// Probot as an app of its own would be, with a handler that does nothing.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createNodeMiddleware, createProbot } from "probot";

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const probot = createProbot({
  overrides: { appId: 1, privateKey, secret: process.env.SECRET, logLevel: "fatal" },
});
const middleware = await createNodeMiddleware(
  (app) => {
    app.on("push", () => {});
  },
  { probot, webhooksPath: "/hooks/github" },
);
createServer(middleware).listen(Number(process.argv[2]), "127.0.0.1");
