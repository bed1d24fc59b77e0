"""The command line: one small file for each family of commands.

What is slow to import stands inside the functions, so that `--help` comes at once.
"""
