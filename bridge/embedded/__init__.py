"""A small, self-contained deploy server that speaks Dokploy's HTTP API.

The bridge starts it (`app/providers.py`) and then uses only its address and its key. Of the bridge
it imports only the errors, what hides secrets, the reader of `.env` texts, `bridge.connecting` and
`bridge.listening`.

    server      start, stop, and the two listeners: the API and the published sites
    http/       the API: one function per procedure, its inputs, its answers, its documentation
    building/   the queue of jobs; one deployment: get the code, build it, publish it, write its
                log; serve the sites
    storage/    what an application serves and can serve again; deployments and jobs; projects,
                environments, applications, domains and Git providers; the data folder
"""
