"""Setup in the browser: `/setup`, for whoever has the one-time link.

`door` has the routes, `entry` lets people in, `services` knows what can be connected, `checkup`
checks everything, and `page` draws what is connected, missing and wrong.
"""
