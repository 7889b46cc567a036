"""The TCP front: parser, writer, connections, command line."""
