"""The study of results: which method gives what accuracy with how many labelled rows."""
