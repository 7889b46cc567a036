"""Pure data structures that values are made of. They import nothing of ours."""
