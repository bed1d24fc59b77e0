"""Previews: an app of its own for each pull request of an app. Pure.

preview     the record of one preview, and its names
native      the record of one that a backend makes by itself
verdict     whether a pull request is to have one, and why
naming      the one that a person names
remedies    what people can do about a reason
steps       what is to be done next for one
"""
