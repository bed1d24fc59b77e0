"""All commands together, for what looks at all of them."""

from bridge.cli.root import command_line

app = command_line()
