"""What Slack sends, by HTTP or through a socket: is it Slack, and what does it say."""
