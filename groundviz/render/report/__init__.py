"""Tables, charts and the page of a report on many cases."""
