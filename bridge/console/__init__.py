"""The console: what happened, why, and what to do, in a browser.

`door` decides who gets in, `pages` collects the facts of each page, `templates` draws them.
"""
