"""What is set, who set it, and what is wrong with it."""
