"""Names of repositories and refs, and when two of them are the same."""

import re

_SCP = re.compile(r"^(?:[^@/\s]+@)?([^:/\s]+):(?!//)(.+)$")
_URL = re.compile(r"^([a-z][a-z0-9+.-]*)://(?:[^@/]*@)?([^/]*)(/.*)$", re.IGNORECASE)


def normalise_url(url: str) -> str:
    """One form for the many ways to write a clone address: `host/owner/repo` in lower case.

    `git@h:o/r.git`, `ssh://git@h:22/o/r` and `https://h/o/r.git` are the same. User names,
    ports of ssh and a trailing `.git` or `/` do not count; the port of http does, since
    another server may listen there. A local path keeps its case.
    """
    url = url.strip()
    if match := _URL.match(url):
        scheme, host, path = match[1].lower(), match[2].lower(), match[3]
        if scheme == "file":
            return "file:" + _bare(path)
        if scheme in ("ssh", "git+ssh", "ssh+git"):
            host = host.partition(":")[0]
        host = host.removesuffix(":443" if scheme == "https" else ":80")
        return f"{host}/{_bare(path)}".lower()
    if url.startswith(("/", ".")):
        return "file:" + _bare(url)
    if match := _SCP.match(url):
        return f"{match[1]}/{_bare(match[2])}".lower()
    return _bare(url).lower()


def _bare(path: str) -> str:
    return path.strip("/").removesuffix(".git").strip("/")
