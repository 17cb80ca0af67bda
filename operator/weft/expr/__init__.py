"""Expressions: CEL, the `${{ }}` templates around it, and what names mean where."""
