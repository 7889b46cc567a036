"""Hit ratios of eviction policies: traces, simulators of the peers, and what drives the engines."""
