"""Views: one's own messages and settings; how sending goes; the number in every header."""
