"""What is told of the service to machines and people is valid, whole, and what the service does."""
