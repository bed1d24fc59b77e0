"""How an app is configured: what it can be, and what a change of it makes different.

`fields` is the table of all fields, from which the rest and the adapters are made. A change goes
through the others in this order: `row` (what the backend stores), `configuration` (what can be
set), `merge` (what was asked, laid over what is, and checked), `difference` (field by field,
secrets hidden, and what it takes to undo it) and `plan` (what people see before it is made).
`variables` reads and edits lines of KEY=VALUE.
"""
