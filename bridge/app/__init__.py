"""The composition root: build the parts from the settings. No other package names every part.

`run` starts them in the order in which data travels; `providers`, `keyrings`, `chats`, `storage`,
`deploying`, `commands` and `console` make what it starts. `data_folder` says where everything is
stored, and which processes work on it.
"""
