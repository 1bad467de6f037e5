"""Networks: what they are built of, where they come from, and what their layers hold."""
