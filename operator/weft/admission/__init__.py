"""The optional validating webhook: what `weft validate` finds is refused before it is stored."""
