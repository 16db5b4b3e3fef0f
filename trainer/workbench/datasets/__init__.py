"""Data sets of the workbench: any table in, checked, typed and written as Parquet; a first look at it; pictures of it."""
