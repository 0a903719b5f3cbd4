"""One file a verb; each defines ``command``. A new verb is found by its file."""
