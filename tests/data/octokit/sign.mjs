// Prints every example of a GitHub webhook, as JSON and as a form, signed by GitHub's own library: one JSON object a
// line. The secret is the first argument.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { sign } from "@octokit/webhooks-methods";

const secret = process.argv[2];
const path = createRequire(import.meta.url).resolve("@octokit/webhooks-examples/api.github.com/index.json");
const lines = [];
for (const { name, examples } of JSON.parse(readFileSync(path, "utf8"))) {
  for (const example of examples) {
    const json = JSON.stringify(example);
    const form = new URLSearchParams({ payload: json }).toString();
    for (const [type, body] of [["application/json", json], ["application/x-www-form-urlencoded", form]]) {
      lines.push(JSON.stringify({ event: name, type, body, signature: await sign(secret, body) }));
    }
  }
}
process.stdout.write(lines.join("\n"));
