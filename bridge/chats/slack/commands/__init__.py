"""Commands, shortcuts, buttons, and what they are answered with."""
