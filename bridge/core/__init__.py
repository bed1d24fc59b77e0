"""Pure decisions: no async, clock, random, logging or I/O in here."""
