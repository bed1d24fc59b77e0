"""The composition root: build the parts from the settings. No other package names every part.

`run` starts them in the order in which data travels; `hosts`, `backends`, `chats`, `storage` and
`work` make what it starts. `data_folder` says where everything is stored, `presence` which
processes work on it.
"""
