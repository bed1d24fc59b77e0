"""`python -m tests.fakes.toys`: the bridge's command, with a Git host and a chat added."""

from bridge.chats import CHATS
from bridge.githosts import HOSTS
from tests.fakes.toy_chat import WALKIE
from tests.fakes.toy_host import TOY

HOSTS["toybox"] = TOY
CHATS["walkie"] = WALKIE

if __name__ == "__main__":
    from bridge.__main__ import main  # only now: the command is made from what is registered

    main()
