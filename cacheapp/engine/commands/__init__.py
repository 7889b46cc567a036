"""The commands, a file a group. Each records its rows when `registry.load_commands` imports it."""
