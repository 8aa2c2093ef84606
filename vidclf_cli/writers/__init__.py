"""Write result rows, one small streaming writer per format."""
