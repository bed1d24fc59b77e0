"""What the bridge serves: webhooks, requests of chats, health, metrics, and the basics of pages.

A webhook is a POST with a Content-Length, and hosts send nothing else. The fast path reads such a
request in half of aiohttp's time. Any other request (other routes and methods, chunks, `Expect`,
upgrades, a duplicate header, malformed HTTP) is handed to aiohttp, with the received bytes; from
then on the connection is aiohttp's. So the fast path only has to be right about the requests it
accepts, and both paths enforce every limit.

`fast_connections` manages a listener's connections and reads heads; `fast_webhooks` reads, keeps
and answers; `hooks` is what both paths ask.
"""
