"""Setup in the browser: `/setup`, for whoever has the one-time link.

`door` has the routes, `entry` lets people in, `services` knows what can be connected, `apps` has
the last steps, and `page` draws what is connected, missing and wrong.
"""
