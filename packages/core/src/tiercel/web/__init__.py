"""What makes a cached function of a view: which responses are kept, and how hits are answered."""
