"""Text from outside that is long, or that would steer a terminal, for scenes."""

EVIL = "\x1b[2J\x1b]0;pwned\x07\u202egnp.exe\u2066 [red]bold[/] \x9b31m"
LONG = "platform-services-of-the-northern-region"
DEEP = "services/" + "a-folder-with-a-long-name/" * 8 + "main.py"
BRANCH = "release/2026-05-newsletters-with-attachments-for-the-northern-region-part-2"
