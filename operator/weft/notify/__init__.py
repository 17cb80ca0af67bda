"""Telling the world outside about runs: events, their delivery, and the guard on addresses dialled for a user."""
