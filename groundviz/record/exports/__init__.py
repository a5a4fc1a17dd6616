"""Maps on their way out: as long tables, labelled arrays, and files of other programs' formats."""
