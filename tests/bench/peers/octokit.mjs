// @octokit/webhooks behind its own middleware.
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";

const webhooks = new Webhooks({ secret: process.env.SECRET });
webhooks.on("push", () => {});
createServer(createNodeMiddleware(webhooks, { path: "/hooks/github" })).listen(
  Number(process.argv[2]),
  "127.0.0.1",
);
