"""The workbench in the console, pages over plain functions.

A person comes in at home.py (data sets and experiments, upload, connect), looks at a data set (dataset.py), says what
an experiment is asked to do (setup.py, reasonable without touching anything), watches it (experiment.py), compares runs
(compare.py), looks into one model (candidate.py) and puts new rows through it (predict.py). drawing.py has the charts.
"""
