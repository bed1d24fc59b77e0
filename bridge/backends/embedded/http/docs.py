"""The API's documentation, to read and to try: `/docs`. One page, nothing from elsewhere."""

from aiohttp import web

from bridge.backends.embedded.http.openapi import describe

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Embedded backend: API</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  details { border-bottom: 1px solid #8884; padding: .4rem 0 }
  summary { cursor: pointer } summary code { font-weight: 600 }
  textarea, input, pre { width: 100%; box-sizing: border-box }
  textarea, input, pre { font: 14px/1.4 ui-monospace, monospace }
  pre { background: #8881; padding: .6rem; overflow: auto; max-height: 24rem }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } }
</style>
<h1>Embedded backend: API</h1>
<p>It speaks Dokploy's API. The key is in the file <code>api-key</code> of the data directory; this
page forgets it when it is closed. The description for machines is
<a href="/api/openapi.json">openapi.json</a>.</p>
<p><label>API key <input id="key" type="password" autocomplete="off"></label></p>
<main id="list">Loading …</main>
<script>
const list = document.getElementById("list"), key = document.getElementById("key");
const make = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
const example = (schema, all) => {
  if (schema.$ref) schema = all[schema.$ref.split("/").pop()];
  return Object.fromEntries(Object.entries(schema.properties || {})
    .filter(([name]) => (schema.required || []).includes(name))
    .map(([name, one]) => [name, one.enum ? one.enum[0] : one.type === "boolean" ? true
      : one.anyOf ? null : ""]));
};
const send = async (method, path, input, out) => {
  out.textContent = "…";
  try {
    const headers = { "x-api-key": key.value };
    let url = "/api" + path, body;
    if (method === "GET") {
      const query = new URLSearchParams(JSON.parse(input.value || "{}"));
      if ([...query].length) url += "?" + query;
    } else { headers["Content-Type"] = "application/json"; body = input.value }
    const answer = await fetch(url, { method, headers, body });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2) } catch { }
    out.textContent = answer.status + " " + answer.statusText + "\\n" + shown;
  } catch (error) { out.textContent = String(error) }
};
fetch("/api/openapi.json").then(answer => answer.json()).then(api => {
  list.textContent = "";
  for (const [path, methods] of Object.entries(api.paths))
    for (const [verb, one] of Object.entries(methods)) {
      const method = verb.toUpperCase(), box = make("details"), head = make("summary");
      head.append(make("code", method + " " + path), " " + one.summary);
      const input = make("textarea"), out = make("pre"), button = make("button", "Send");
      const schema = one.requestBody
        ? example(one.requestBody.content["application/json"].schema, api.components.schemas)
        : Object.fromEntries((one.parameters || []).filter(p => p.required).map(p => [p.name, ""]));
      input.value = JSON.stringify(schema, null, 2);
      input.rows = Math.min(12, input.value.split("\\n").length);
      input.setAttribute("aria-label", "Input of " + path);
      button.onclick = () => send(method, path, input, out);
      box.append(head, input, button, out);
      list.append(box);
    }
}).catch(error => { list.textContent = String(error) });
</script>
"""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # who opened this page can't lead it elsewhere
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def routes() -> list[web.RouteDef]:
    """`/docs` and the description; both need no key, since both tell nothing of the data."""
    return [web.get("/docs", _page), web.get("/api/openapi.json", _description)]


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html", headers=_HEADERS)


async def _description(_request: web.Request) -> web.Response:
    return web.json_response(describe())
