"""The facts that chats show, free of any markup; each chat only formats them."""
