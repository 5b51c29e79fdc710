"""Pages for people: what is known of an export, and the templates that tell it."""
