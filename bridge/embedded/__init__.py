"""A small deploy server that speaks Dokploy's HTTP API: a house of its own.

The bridge starts it (`app/backends.py`) and from then on knows it by its address and its key
alone. It imports nothing of the bridge but the errors, the reader of `.env` texts, and
`bridge.listening`.

    server      start, stop, and the two listeners: the API and the published sites
    http/       the API: one function a procedure, its inputs, its answers, its documentation
    queue       the jobs that wait and run, in the order of their turns
    building/   one deployment: get the code, build it, publish it, write its log
    sites       published static sites: how they are copied, and how they are served
    history     deployments and jobs on disk
    records     projects, environments, applications and Git providers on disk
    places      the data folder; work in threads; errors of a build
"""
