"""The agent's tab."""
