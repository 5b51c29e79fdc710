"""Attention in its forms, and what tells it where tokens are."""
