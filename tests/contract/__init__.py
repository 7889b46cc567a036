"""Behaviour that both servers must share, written once and run on each."""
