"""Database migrations of the demo site."""
