"""`python -m tests.fakes.toys`: the bridge's command, with a host, a backend and a chat added."""

from bridge.backends import BACKENDS
from bridge.chats import CHATS
from bridge.githosts import HOSTS
from tests.fakes.toy_backend import CRANE
from tests.fakes.toy_chat import WALKIE
from tests.fakes.toy_host import TOY

HOSTS["toybox"] = TOY
BACKENDS["crane"] = CRANE
CHATS["walkie"] = WALKIE

if __name__ == "__main__":
    from bridge.__main__ import main  # only now: the command is made from what is registered

    main()
