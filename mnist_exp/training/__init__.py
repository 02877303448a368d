"""One run: its callbacks, logs and profile, and the record of what happened."""
