"""The fast way for webhooks: plain requests, without a framework in between.

A webhook is a POST with a Content-Length, and hosts send nothing else. Such a request is read here,
in half the time that aiohttp takes. Whatever is not as plain (other routes and methods, chunks,
`Expect`, upgrades, a header twice, anything that is not quite HTTP) is left to aiohttp, with the
very bytes that have come: from then on the connection is aiohttp's. So the fast way has to be right
only about what it takes, and every guard holds on both.

`connections` holds a listener's connections and reads heads; `webhooks` reads, keeps and answers.
"""
