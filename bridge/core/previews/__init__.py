"""Previews: an app of its own for each pull request of an app. Pure.

preview     the record of one preview, its names, and the one that a person names
native      the record of one that a backend makes by itself
verdict     whether a pull request is to have one, and why; what is to be done next for it
"""
