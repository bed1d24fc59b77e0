"""Dokploy over HTTP; its record is in `provider`.

client        the backend: deploy, follow, configure
apps          list and read apps; list what a source can be chosen from
http          requests: limits, retries
server_clock  how far its clock is ahead of ours
answers       the table of what each answer means, and the errors
key_check     is a refused key at fault, or the server's database?
models        the fields of answers that are used
reads         from answers to the bridge's records
previews      the previews that Dokploy makes by itself, likewise
settings      its section of `bridge.yaml`
configure     from an app's settings to the bodies of saves, and back
making        applications of the bridge's own: find, make, configure, address, remove
blueprint     what such an application has to store, and what differs
"""
