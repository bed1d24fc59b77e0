"""Tell a proxy that can't be reached from a server that can't; httpx raises the same for both."""

import httpx


class ThroughProxy(httpx.AsyncHTTPTransport):
    """Sends requests through a proxy."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one.

        Raises:
            httpx.ProxyError: the proxy, or the server behind it, can't be reached.
        """
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectError as error:
            raise httpx.ProxyError(str(error), request=request) from error
