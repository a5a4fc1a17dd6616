"""A page of many cases: a contact sheet with filters and a scatter, each case opening in the viewer."""
