"""Measuring how often a model points at the right thing: data sets, scores, runs, reports."""
