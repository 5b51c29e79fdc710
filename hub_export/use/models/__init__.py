"""Exported models as programs load and ask them."""
