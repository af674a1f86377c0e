"""What every test may use, and what is checked around every test."""
