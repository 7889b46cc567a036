"""State machines that drive the engine and a real redis-server through the same states."""
