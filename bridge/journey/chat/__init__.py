"""What people ask by chat, and what they are answered."""
