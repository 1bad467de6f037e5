"""One module a command: open the inputs, run the measures, write the result."""
