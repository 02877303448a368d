"""What a command does around its task: overrides, help, errors, the summary of a sweep."""
