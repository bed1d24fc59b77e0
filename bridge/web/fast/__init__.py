"""The quick way for webhooks: plain requests, without a framework in between.

A webhook is a POST with a Content-Length, and hosts send nothing else. Such a request is read
here, in half the time that aiohttp takes. Whatever is not as plain (other routes and methods,
chunks, `Expect`, upgrades, a header twice, anything that is not quite HTTP) is left to aiohttp,
with the very bytes that have come: from then on the connection is aiohttp's, for good. So the
quick way has to be right only about what it takes, and every guard holds on both.

`head` reads what stands before a body; `door` is what a listener's connections share;
`connection` is one as such, and `webhooks` what comes down it, from the head to the answer.
"""
