"""The console: what happened, why, and what to do, in a browser.

`pages` collects the facts of each page, and its `door` decides who gets in; `templates` draws them.
"""
