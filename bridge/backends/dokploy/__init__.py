"""Dokploy over HTTP; its record is in `provider`.

client      the backend: deploy, follow, configure
apps        list and read apps; list what a source can be chosen from
containers  what runs of an app, its image and its output
own_apps    applications of the bridge's own: find, make, configure, address, remove
http        requests: limits, retries
key_check   is a refused key at fault, or the server's database? and the server's clock
answers     the table of what each answer means, and the errors
models      the fields of answers that are used
reads       from answers to the bridge's records
settings    its section of `bridge.yaml`, and how it is connected on the setup page
configure   from an app's settings to the bodies of saves, and back; columns of our own apps
checks      what `doctor` checks there
"""
