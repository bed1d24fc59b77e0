"""Check a whole set-up: what is wrong with it, and what to do about it.

collect   everything at once, each part within its time
settings  the settings alone, and against those of the running bridge
services  one backend, Git host, chat or sign-in; also with settings that are not stored
itself    the bridge's own data, its database, and its address for others
apps      whether apps can be deployed, and their pull requests have previews
names     the apps, repositories, accounts and checks that the settings name
"""
