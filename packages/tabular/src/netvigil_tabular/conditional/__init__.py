"""A flow's features predicted from its context."""
