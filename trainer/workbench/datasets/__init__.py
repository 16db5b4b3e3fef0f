"""Data sets of the workbench: any table in, checked, typed and written as Parquet; a first look at it; pictures of it.

sources/      where a table lies: files and archives, remote files, databases, the flow lake
formats/      readers, one a format
importing.py  from a source to `table.parquet` and `about.json`, by way of staging, inference and writing
exploration/  `profile.json`
plots/        pictures, for the page and for paper
guarded.py    what leaves as CSV
"""
