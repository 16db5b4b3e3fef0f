"""Promises about false alarms: policies, counts of scores, recalibration, read-outs, the monitor."""
