"""The models of tasks, one file a task: an encoder with its head, texts in and answers out."""
