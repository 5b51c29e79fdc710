"""Adapters over a base model: merged into it where algebra allows, else computed inside it."""
