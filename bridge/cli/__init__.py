"""The command line: one small file for each family of commands.

Slow imports are inside the functions, so `--help` is quick.
"""
