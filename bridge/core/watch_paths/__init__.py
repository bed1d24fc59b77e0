"""Watch paths: a list of patterns against the files of a push; one pattern is `core/globs`'.

`patterns` asks one app's list, `index` those of many apps together, each push by way of `push`.
`near_miss` says what came nearest where nothing matched, `lint` what is probably not meant.
"""
