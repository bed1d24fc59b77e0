"""Check a whole set-up: what is wrong with it, and what to do about it.

collect     everything at once, each part within its time
settings    the settings alone
services    one backend, Git host or chat; also with settings that are not stored
itself      the bridge's own data, its database, and the apps
public_url  whether the bridge's address for others leads to it
"""
