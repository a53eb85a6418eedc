"""What plugins implement: one abstract class and one spec per kind of plugin."""
