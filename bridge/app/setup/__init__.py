"""Setup in the browser: `/setup`, for whoever has the one-time link.

`door` has the routes, `entry` lets people in, `services` knows what can be connected, and `page`
draws what is connected and what is missing.
"""
