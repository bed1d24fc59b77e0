"""The composition root: builds the parts from the settings; only here every part is named.

`run` starts them in the order in which data travels; `hosts`, `backends`, `chats`, `storage` and
`work` make what it starts. `data_folder` says where everything is stored, `presence` which
processes work on it.
"""
