"""What leaves the workbench: a script, a check that a run can be done again, and a model that agents run.

recorded.py  the folder of a run, read
script.py    a run as a Python script of its own
verify.py    can this run be done again here, and what differs
flows.py     a table of flows -> the rows that models for agents are fitted on
promote.py   a detector of a run -> a model file that agents accept
"""
