"""What a record is made of, a type for each part; `groundviz.record.types` has them all."""
