"""Candidates measured side by side, and the report of it."""
