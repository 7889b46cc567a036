"""demo, demo_load and demo_report."""
