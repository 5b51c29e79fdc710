"""The models of tasks against their sources, one file a task: `ask` the source, `compare`."""
