"""A small, self-contained deploy server that speaks Dokploy's HTTP API.

The bridge starts it (`app/providers.py`) and then uses only its address and its key. Of the bridge
it imports only the errors, the reader of `.env` texts, and `bridge.listening`.

    server      start, stop, and the two listeners: the API and the published sites
    http/       the API: one function per procedure, its inputs, its answers, its documentation
    queue       the waiting and running jobs, in order
    building/   one deployment: get the code, build it, publish it, write its log
    releases    what an application serves, and what it can serve again
    sites       copy and serve static sites
    history     deployments and jobs on disk
    records     projects, environments, applications, domains and Git providers on disk
    paths       the data folder; work in threads; errors of a build
"""
