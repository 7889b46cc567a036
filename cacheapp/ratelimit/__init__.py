"""Rate limits: rules over requests, and a limiter for anything else."""
