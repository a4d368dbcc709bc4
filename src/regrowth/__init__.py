"""Regrowth."""
