"""How keys are built: the text of values, key fields, key constructors and compiled key plans."""
