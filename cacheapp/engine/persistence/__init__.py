"""Values as bytes in Redis's own format: what DUMP answers, and what files will be made of.

Pure functions on bytes, but for `files`, through which every file operation goes. `encoding` has
the lengths and strings that all else consists of, `objects` and `streams` have the values,
`payloads` the frame of DUMP.
"""
