// An OpenID provider on a free port of loopback: `oidc-provider`, which is installed in the folder
// that is given. Each line of the input sets it up anew, in JSON; "null" stops listening.
import http from "node:http"
import readline from "node:readline"
import { pathToFileURL } from "node:url"

const library = pathToFileURL(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`)
const { default: Provider } = await import(library)
console.info = console.error // its notices; the output is ours
const now = Date.now
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const listening = (port) => new Promise((done) => server.listen(port, "127.0.0.1", done))

let answer
const server = http.createServer((request, response) => answer(request, response))
await listening(0)
const { port } = server.address()
const issuer = `http://127.0.0.1:${port}`
say(issuer)

for await (const line of readline.createInterface({ input: process.stdin })) {
  const set = JSON.parse(line)
  if (set === null) {
    server.close()
    server.closeAllConnections()
  } else {
    const { seconds_ahead: ahead, audience, ...settings } = set
    Date.now = () => now() + ahead * 1000
    const provider = new Provider(issuer, settings)
    provider.use(strict(settings.clients[0].token_endpoint_auth_method))
    if (audience) misaddress(provider.IdToken.prototype, audience)
    answer = provider.callback()
    if (!server.listening) await listening(port)
  }
  say("done")
}

// Take a client's secret only in the way that it is registered for, as Authelia does; the library
// takes it in either.
function strict(way) {
  return async (context, next) => {
    const sent = context.headers.authorization ? "client_secret_basic" : "client_secret_post"
    if (context.path !== "/token" || sent === way) return next()
    context.status = 401
    context.body = { error: "invalid_client" }
  }
}

// Issue ID tokens for another client.
function misaddress(token, clientId) {
  const { issue } = token
  token.issue = function (...given) {
    this.client = Object.create(this.client, { clientId: { value: clientId } })
    return issue.apply(this, given)
  }
}
