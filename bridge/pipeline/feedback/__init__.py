"""What people are shown, and what they ask for in chats."""
