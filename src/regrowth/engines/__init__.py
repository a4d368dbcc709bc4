"""Adapters of outside programs and heavy libraries."""
