"""What the hosts did not tell, asked for afterwards."""
