"""Helpers shared by all rooms: optional imports and scikit-learn's private names."""
