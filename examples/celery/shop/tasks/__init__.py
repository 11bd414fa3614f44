"""The tasks, a module a subject."""
