"""The Python interface, loaded on first use."""
