"""What Git hosts have in common, on which each host's folder builds.

webhook    bodies that anyone may have sent, and the fields of all hosts
payloads   webhooks that are like GitHub's
commits    who wrote commits, and their checks
http       requests to a host's API: pages, conditional reads, pauses, the token
answers    what the answers mean: errors, limits, forms
pool       threads in which clients that block do the work
api        the requests of all hosts
repos_api  those of hosts whose API is like GitHub's
checks     what `doctor` finds at all hosts
tokens     hosts that are connected with one token
"""
