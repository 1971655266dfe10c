"""Tables of events: made small, taken apart again, and judged."""
