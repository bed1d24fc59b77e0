"""What people type in any chat and what they are answered, before it takes a chat's form."""
