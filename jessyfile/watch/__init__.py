"""Keep a model as its recipe says: watch what the last plan read, and apply again when its content changes.

machine   what to do about changes, keys and ended jobs: pure, no clock, no disk, no terminal
line      the two lines that say what is going on: pure
plan_now  load, plan, and name the revision
folders   which folders changed, from the operating system
job       one `jessy apply` in a process of its own
session   all of them together
"""
