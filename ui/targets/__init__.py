"""What an answer points at, and the forms in which it can be taken away."""
