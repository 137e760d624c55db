"""Bringing records in from files: one service for the wizard, the command line and jobs. See docs/decisions/0005-import.md.

A file is kept (``store``), looked through once (``profile``), its columns are matched with fields (``matching``), a plan says what happens to each
column (``plan``), and the same code (``batch``) runs the plan as a dry run that is rolled back or for good in batches of 500, each in a
transaction together with the outcome of every one of its rows. ``runs`` holds the steps that a person takes; ``undo`` takes an import back.
"""
