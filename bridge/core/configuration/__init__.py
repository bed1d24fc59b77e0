"""How an app is configured, and how a change is planned, shown, made and undone.

`fields` is the table of all fields; everything else, adapters included, is built from it. A change
passes through `configuration` (what the backend stores, and what can be set), `merge` (the request
merged into the present configuration, and checked), `difference` (field by field, without secrets,
and the record for an undo) and `plan` (what people see before it is made). `rehearsal` decides
recent pushes as if it were made.
"""
