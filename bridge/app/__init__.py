"""The composition root: builds the parts from Settings; the only place that names every part.

`run` starts them in the order in which data travels; `hosts`, `backends`, `chats`, `storage`
and `work` make what it starts. `whereabouts` says where everything is kept, `presence` who is at
work on it, and `sizes` how much there is.
"""
