"""How an app is configured: what it can be, and what a change of it makes different.

A change goes through them in this order: `configuration` (what can be set), `merge` (what was
asked, laid over what is), `difference` (field by field, secrets hidden), `plan` (what people see
before it is made) and `restoring` (what it takes to undo it). `unfit` words what can't be set;
`variables` reads and edits lines of KEY=VALUE.
"""
