"""Services as children of a processor: docs/SUBPROCESS.md, from the child's side."""
