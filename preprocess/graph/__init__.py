"""Small pieces of graphs that every room builds with: rows, lanes, tables, UTF-8."""
