"""The graph of a workflow: compiled to indexed arrays, validated, drawn. Pure."""
