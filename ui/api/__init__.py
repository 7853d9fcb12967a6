"""What programs can ask this server."""
