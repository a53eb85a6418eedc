"""The tables of this application, as they came to be."""
